"""Weights that come with the package, by name: networks that are ready to matte photographs.

A file is as small as it can be: in half precision, with the network's configuration in its metadata.
`release/ship_weights.py` makes one of a run; ``docs/model_card.md`` says what they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from deepmatte.errors import InputError
from deepmatte.files import printable
from deepmatte.models.weights import read_weights, write_weights

FOLDER = Path(__file__).with_name("shipped")
SUFFIX = ".safetensors"
STARTER = "starter"
"""The weights that matte where nothing is chosen, if they are there."""
TILE = 768
"""The side of their tiles: 8 megapixels then take 1.6 GB, and scores stay what they are (the model card)."""
ABOUT = "deepmatte"
"""The key of the metadata under which the settings are, as JSON."""


class Shipped(NamedTuple):
    """A network as it is kept: the ``model`` of its configuration, how it is used, and its weights.

    ``impose`` says whether the trimap's known zones are imposed, ``refine`` whether its refinement is used.
    """

    model: dict[str, Any]
    impose: bool
    refine: bool
    state: dict[str, Tensor]


def shipped() -> dict[str, Path]:
    """Return the files of the weights that are there, by name."""
    return {file.name.removesuffix(SUFFIX): file for file in sorted(FOLDER.glob(f"*{SUFFIX}"))}


def shipped_file(run: Path) -> Path | None:
    """Return the file of the weights that ``run`` names, or is; None where it is another place."""
    there = shipped()
    named = None if run.is_dir() else there.get(str(run))
    return named or (run if run in there.values() else None)


def write_shipped(path: Path, network: Shipped, origin: Mapping[str, str]) -> None:
    """Write a network with its weights in half precision; ``origin`` is metadata for people."""
    settings = json.dumps({"model": network.model, "impose": network.impose, "refine": network.refine})
    half = {
        name: value.half() if value.is_floating_point() else value for name, value in network.state.items()
    }
    write_weights(path, half, {ABOUT: settings, **origin})


def read_shipped(path: Path) -> Shipped:
    """Return the network of a file, its weights in single precision.

    Raises:
        InputError: the file is missing, damaged, or none that `write_shipped` has written.
    """
    from safetensors import safe_open

    state = {
        name: value.to(torch.float32) if value.is_floating_point() else value
        for name, value in read_weights(path).items()
    }
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    try:
        settings = json.loads(metadata[ABOUT])
        return Shipped(dict(settings["model"]), bool(settings["impose"]), bool(settings["refine"]), state)
    except (KeyError, TypeError, ValueError) as error:
        cure = "give a run directory, or a name of weights that come with deepmatte"
        raise InputError(
            f"{printable(path)}: does not say what network its weights are of; {cure}"
        ) from error
