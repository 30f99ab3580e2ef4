"""Write the network of a run to one file for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path


def main(argv: list[str]) -> int:
    """Export a run and return 0; InputError names what is wrong."""
    options = parser().parse_args(argv)
    from deepmatte.scoring.export import export_run

    print("\n".join(export_run(options.run, options.to, options.out, options.checkpoint)))
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the verb's options."""
    result = argparse.ArgumentParser(
        prog="deepmatte export",
        usage="deepmatte export RUN --to onnx|torch|safetensors [--out FILE] [--checkpoint best|last|PATH]",
        description="Write the network of a run to one file, for programs without deepmatte. ONNX files and "
        "those of torch.export (.pt2) take pictures of any size; normalisation, padding and the trimap's "
        "known zones are inside. A safetensors file has the weights alone, from which a run can start "
        "(`deepmatte train model=… init=FILE`).",
        epilog="`deepmatte predict PHOTO --trimap T --onnx FILE` mattes by an ONNX file, without PyTorch.",
    )
    add = result.add_argument
    add("run", type=Path, metavar="RUN", help="the run directory")
    add("--to", required=True, metavar="onnx|torch|safetensors", help="the format")
    add("--out", type=Path, metavar="FILE", help="the file to write (default: RUN's name in this folder)")
    weights = "which weights of the run (default: best)"
    add("--checkpoint", default="best", metavar="best|last|PATH", help=weights)
    return result
