"""Weights in files: read as plain tensors, compared with a network's entry by entry, and loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepmatte.errors import InputError
from deepmatte.files import printable, write_bytes

State = Mapping[str, Tensor]
"""Tensors by the names that they have in a network."""

ZIP, PICKLE = b"PK", b"\x80\x02"
"""How the files of torch.save begin, today's and those before PyTorch 1.6."""

OWN_PREFIX = "model."
"""How names begin in checkpoints of this package, whose network is a part of what is trained."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file: safetensors, a checkpoint of this package, or any other state dict.

    Nothing but tensors and plain data is ever loaded. Of a checkpoint the state dict counts, without the
    prefix that training or `torch.nn.DataParallel` adds to all names.

    Raises:
        InputError: the file is missing, damaged, or holds no tensors or objects of other kinds.
    """
    if not path.is_file():
        raise InputError(f"{printable(path)}: there is no such file; give one of weights")
    try:
        found = _tensors(path) if path.suffix == ".safetensors" else _plain(path)
    except Exception as error:  # a damaged file can raise anything, also without a message
        reason = _unreadable(path, error)
        raise InputError(f"{printable(path)}: not readable as weights alone: {reason}") from error
    for key in ("state_dict", "model"):  # as Lightning and others write a checkpoint, or detectron2 and MAE
        if isinstance(found, dict) and isinstance(found.get(key), Mapping):
            own = "deepmatte" in found
            found = dict(found[key])
            if own:
                found = {name: value for name, value in found.items() if name.startswith(OWN_PREFIX)}
    if not isinstance(found, dict) or not found or not all(isinstance(v, Tensor) for v in found.values()):
        raise InputError(f"{printable(path)}: holds no state dict; give a file of weights by their names")
    for prefix in ("module.", OWN_PREFIX):
        if all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _plain(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _unreadable(path: Path, error: Exception) -> str:
    """Return what is wrong with a file that can't be loaded, and the cure; libraries' words name neither."""
    if isinstance(error, OSError):
        return f"{error.strerror or 'it is a file that cannot be read'}; give one that can be read"
    other = re.search(r"GLOBAL ([\w.]+)", str(error))  # as PyTorch names what it does not load
    if other is not None:
        return f"it holds objects ({other[1]}); save the state_dict() alone where it was made"
    if "TorchScript" in str(error):
        return "it is a TorchScript archive; save its state_dict() with torch.save"
    with path.open("rb") as stream:
        start = stream.read(2)
    if not start:
        return "it is empty; copy or download it again"
    if path.suffix == ".safetensors" or start in (ZIP, PICKLE):
        return "it is cut off, damaged, or of another kind; copy or download it again"
    return "it is no file of weights; give one that torch.save wrote, or .safetensors"


def write_weights(path: Path, state: State, about: Mapping[str, str]) -> None:
    """Write tensors as a safetensors file, with ``about`` as its metadata."""
    from safetensors.torch import save

    write_bytes(path, save({name: value.contiguous() for name, value in state.items()}, dict(about)))


def shape_of(tensor: Tensor) -> str:
    """Return a shape in words.

    >>> shape_of(torch.zeros(8, 4, 3, 3)), shape_of(torch.zeros(()))
    ('8x4x3x3', 'one number')
    """
    return "x".join(map(str, tensor.shape)) or "one number"


def differences(own: State, given: State) -> dict[str, str]:
    """Return why entries are not alike, by their names in the order of the network."""
    wrong: dict[str, str] = {}
    for name, tensor in own.items():
        if name not in given:
            wrong[name] = "is missing there"
        elif given[name].layout != tensor.layout:
            wrong[name] = f"is {given[name].layout} there, {tensor.layout} here"
        elif given[name].shape != tensor.shape:
            wrong[name] = f"is {shape_of(given[name])} there, {shape_of(tensor)} here"
    return wrong | {name: "has no place here" for name in given if name not in own}


def load_weights(model: nn.Module, checkpoint: Mapping[str, Any], source: str) -> None:
    """Load the weights of ``model`` from a checkpoint of this package.

    Raises:
        InputError: it has no weights, or those of another model; the message names ``source`` and the first
            difference.
    """
    found = checkpoint.get("state_dict")
    weights = found.items() if isinstance(found, Mapping) else ()
    if not weights or not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in weights):
        raise InputError(f"{source}: holds no weights; give a checkpoint from a run's checkpoints/ folder")
    state = {name.removeprefix(OWN_PREFIX): value for name, value in weights if name.startswith(OWN_PREFIX)}
    for name, reason in differences(model.state_dict(), state).items():
        raise InputError(
            f"{source}: holds weights of another model (first difference: {name} {reason}); "
            "give its own model"
        )
    model.load_state_dict(state)


@dataclass(frozen=True)
class Loaded:
    """What a network has taken over: numbers of entries and parameters, and why the others were left."""

    entries: int
    parameters: int
    left: Mapping[str, str]

    def lines(self, source: str) -> list[str]:
        """Return what happened, one line for each part of the network that was left in part or whole."""
        first = f"init      {self.entries} entries ({self.parameters:,} numbers) of {source}"
        parts: dict[tuple[str, str], list[str]] = {}
        for name, reason in self.left.items():
            parts.setdefault((name.partition(".")[0], reason.partition(" there,")[0]), []).append(name)
        return [
            first,
            *(
                f"  left    {names[0]}{f' and {len(names) - 1} more of {part}' if names[1:] else ''}: "
                f"{self.left[names[0]]}"
                for (part, _), names in parts.items()
            ),
        ]


def take_over(model: nn.Module, state: State, source: str, ignore: Sequence[str] = ()) -> Loaded:
    """Load the entries of ``state`` that fit; only those that ``ignore`` names may differ.

    Args:
        model: keeps its own values where an entry is left.
        state: the weights.
        source: what to call them in messages.
        ignore: names, beginnings of names (``decoder`` is ``decoder.*``) or patterns with ``*``.

    Raises:
        InputError: another entry is missing, too many, or of another shape; or a name in ``ignore`` is no
            entry's.
    """
    own = model.state_dict()
    left = differences(own, state)
    for pattern in ignore:
        if not any(_matches(name, pattern) for name in {**own, **state}):
            raise InputError(f"init_ignore={pattern}: names no entry of the model or of {source}; remove it")
    for name, reason in left.items():
        if not any(_matches(name, pattern) for pattern in ignore):
            part = name.partition(".")[0]
            cure = f"give the model that the weights are of, or init_ignore=[{part}] to leave them"
            raise InputError(f"init={source}: {name} {reason}; {cure}")
    fits = {name: tensor for name, tensor in state.items() if name not in left}
    model.load_state_dict(fits, strict=False)
    return Loaded(len(fits), sum(tensor.numel() for tensor in fits.values()), left)


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)
