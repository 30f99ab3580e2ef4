"""From a file of another implementation to one that a run can start from."""

from __future__ import annotations

from pathlib import Path

import torch

from deepmatte.config.compose import compose
from deepmatte.errors import InputError
from deepmatte.files import printable
from deepmatte.models.convert import CONVERTERS
from deepmatte.models.weights import read_weights, write_weights
from deepmatte.training.building.from_config import build_model


def convert_file(name: str, file: Path, out: Path) -> list[str]:
    """Convert ``file`` by the converter ``name``; return lines that say what was made, and how to use it.

    Raises:
        InputError: the file is not of that implementation (its first strange, missing or wrong entry is
            named), or can't be read or written.
    """
    converter = CONVERTERS[name]
    if out.suffix != ".safetensors":
        raise InputError(f"--out {printable(out)}: give a name that ends in .safetensors")
    theirs = read_weights(file)
    try:
        overrides = converter.overrides(theirs)
        with torch.device("meta"):  # its names and shapes are enough
            model = build_model(compose("train", overrides))
        state, absent = converter(theirs, model)
    except InputError as error:
        raise InputError(f"{printable(file)}: {error}") from error
    about = {"converter": name, "overrides": " ".join(overrides)}
    write_weights(out, state, about)
    numbers = sum(values.numel() for values in state.values())
    use = f"deepmatte train {' '.join(overrides)} init={out}"
    if absent:
        use += f" init_ignore=[{','.join(absent)}]"
    left = [f"absent    {', '.join(absent)}: not in the file, stays untrained"] if absent else []
    return [f"converted {len(state)} entries ({numbers:,} numbers) to {out}", *left, f"train     {use}"]
