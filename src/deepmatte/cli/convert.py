"""Convert weights of another implementation into those of a model here."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepmatte.errors import InputError, did_you_mean


def main(argv: list[str]) -> int:
    """Convert a file and return 0; InputError names the entry at fault."""
    options = parser().parse_args(argv)
    from deepmatte.models.convert import CONVERTERS

    if options.list or options.name is None:
        print("\n".join(f"{name:22}{converter.source}" for name, converter in CONVERTERS.items()))
        return 0
    if options.name not in CONVERTERS:
        meant = did_you_mean(options.name, CONVERTERS, "{}") or f"; choose one of {', '.join(CONVERTERS)}"
        raise InputError(f"{options.name}: there is no such converter{meant}")
    if options.file is None:
        raise InputError(f"which file? name it, as in `deepmatte convert {options.name} FILE`")
    from deepmatte.training.checkpoints.conversion import convert_file

    out = options.out or options.file.with_name(f"{options.file.stem}_deepmatte.safetensors")
    print("\n".join(convert_file(options.name, options.file, out)))
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte convert",
        usage="deepmatte convert NAME FILE [--out OUT.safetensors]\n       deepmatte convert --list",
        description="Convert the weights of another implementation, so that a run can start from them "
        "(`deepmatte train model=… init=OUT`). It is strict: an entry that is unknown, missing or of another "
        "shape is an error that names it.",
    )
    result.add_argument("name", nargs="?", metavar="NAME", help="whose weights they are (see --list)")
    result.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a checkpoint or state dict")
    out = "the file to write (default: FILE's name with _deepmatte.safetensors)"
    result.add_argument("--out", type=Path, metavar="OUT", help=out)
    result.add_argument("--list", action="store_true", help="list the names, and whose weights they are of")
    return result
