"""What a converter is: names of theirs to names of ours, and which model the weights are of."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from deepmatte.errors import InputError
from deepmatte.models.weights import State, differences, shape_of

ANOTHER = "another NAME of `deepmatte convert --list`"


def _unchanged(name: str, values: Tensor) -> Tensor:
    return values


@dataclass(frozen=True)
class Converter:
    """Makes weights of another implementation those of a model here.

    Attributes:
        source: whose weights, in words.
        overrides: the overrides of ``deepmatte train`` that choose the model of these weights, given theirs;
            the first is ``model=NAME``. What shapes tell, such as a width, is read from them.
        names: a regular expression of a whole name of theirs, and what it is here; the first one that matches
            counts. A name that none matches is an error.
        left_out: regular expressions of names that have no counterpart, for a reason that is stated there.
        optional: parts of the model of which their file may have nothing at all, such as a refiner that is
            trained later.
        change: what values become under their new name, where they are not the same.
    """

    source: str
    overrides: Callable[[State], list[str]]
    names: Sequence[tuple[str, str]]
    left_out: Sequence[str] = ()
    optional: Sequence[str] = ()
    change: Callable[[str, Tensor], Tensor] = _unchanged

    def name(self, theirs: str) -> str | None:
        """Return our name of an entry of theirs; None where it is left out.

        Raises:
            InputError: it is unknown, so the file is of another network.
        """
        if any(re.fullmatch(pattern, theirs) for pattern in self.left_out):
            return None
        for pattern, ours in self.names:
            if (match := re.fullmatch(pattern, theirs)) is not None:
                return match.expand(ours)
        raise InputError(f"{theirs}: no entry of {self.source} has this name; give its file, or {ANOTHER}")

    def __call__(self, theirs: State, model: nn.Module) -> tuple[dict[str, Tensor], list[str]]:
        """Return the entries of ``model``, in its order, and the optional parts that the file has not.

        Raises:
            InputError: an entry is unknown, missing, of another shape, or given twice; it is named.
        """
        found: dict[str, Tensor] = {}
        origin: dict[str, str] = {}
        for name, values in theirs.items():
            ours = self.name(name)
            if ours is None:
                continue
            if ours in found:
                raise InputError(f"{name}: becomes {ours}, as {origin[ours]} does; leave one out")
            found[ours], origin[ours] = self.change(ours, values), name
        own = model.state_dict()
        cure = f"give a whole file of {self.source}, as wide as published, or {ANOTHER}"
        absent = [part for part in self.optional if not any(name.startswith(f"{part}.") for name in found)]
        for name, reason in differences(own, found).items():
            if name in found:
                place = f"{shape_of(found[name])} of {origin[name]}"
                wanted = shape_of(own[name]) if name in own else "no such entry"
                raise InputError(f"{name}: is {place}, the model has {wanted}; {cure}")
            if name.partition(".")[0] not in absent:
                missing = f"{reason.replace('there', 'in the file')}, {shape_of(own[name])}"
                raise InputError(f"{name}: {missing}; {cure}")
        return {name: found[name] for name in own if name in found}, absent
