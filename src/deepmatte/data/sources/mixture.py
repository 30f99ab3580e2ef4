"""Several data sets as one, each with its share of the training samples."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np

from deepmatte.data.sources.protocols import (
    BackgroundSet,
    CompositionSource,
    ForegroundSet,
    HasDigest,
    HasTrimaps,
    ImageSource,
    KnowsForegrounds,
    KnowsSizes,
    Origin,
    OwnBackground,
    Split,
    alpha_of,
    load_layers,
)
from deepmatte.errors import InputError

MOST_ITEMS = 2_000_000
"""Foregrounds of one pass; a weight that would ask for more is taken for a mistake."""


def turns(counts: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, int]:
    """Return the foregrounds of each part in one pass: in proportion to the weights, each at least once.

    >>> turns({"animals": 100, "portraits": 900}, {"animals": 3, "portraits": 1})
    {'animals': 2700, 'portraits': 900}
    """
    unit = max(count / weights[part] for part, count in counts.items())
    return {part: max(counts[part], round(unit * weights[part])) for part in counts}


class _Joined:
    """The items of several sets one after the other, each set repeated to its number of turns."""

    def __init__(self, sets: Mapping[str, Any], num: Mapping[str, int]) -> None:
        self._parts, self._sets = list(sets), list(sets.values())
        self._items = [
            (i, k % len(items)) for i, (part, items) in enumerate(sets.items()) for k in range(num[part])
        ]
        whole = [[f"{part}/{name}" for name in items.names] for part, items in sets.items()]
        self.names = [whole[i][k] for i, k in self._items]

    def __len__(self) -> int:
        return len(self._items)

    def load(self, index: int) -> Any:
        """Return what the part's own set returns."""
        part, place = self._items[index]
        return self._sets[part].load(place)

    def origin(self, index: int) -> Origin | None:
        """Return what an item is decoded from, where its part says it."""
        part, place = self._items[index]
        items = self._sets[part]
        return items.origin(place) if hasattr(items, "origin") else None

    def digest(self) -> str:
        """Return a SHA-256 over the digests and names of the parts, and their turns."""
        total = hashlib.sha256(
            repr(
                [len(list(group)) for _, group in itertools.groupby(self._items, key=lambda item: item[0])]
            ).encode()
        )
        for items in self._sets:
            total.update(
                repr((list(items.names), items.digest() if isinstance(items, HasDigest) else "")).encode()
            )
        return total.hexdigest()


class MixedForegrounds(_Joined):
    """Foregrounds of several sources."""

    def foreground(self, index: int) -> str:
        """Return what a picture shows, as its source has it."""
        part, place = self._items[index]
        items = self._sets[part]
        return (
            f"{self._parts[part]}/{items.foreground(place)}"
            if isinstance(items, KnowsForegrounds)
            else self.names[index]
        )

    def category(self, index: int) -> str:
        """Return the kind of a foreground, as its source has it."""
        part, place = self._items[index]
        return self._sets[part].category(place)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width); a part that doesn't know has to decode."""
        part, place = self._items[index]
        items = self._sets[part]
        return items.size(place) if isinstance(items, KnowsSizes) else load_layers(items, place).alpha.shape

    def alpha(self, index: int) -> np.ndarray:
        """Return alpha alone, uint8 or uint16 (H, W)."""
        part, place = self._items[index]
        items = self._sets[part]
        return alpha_of(items, place)

    def trimap(self, index: int) -> np.ndarray | None:
        """Return the trimap that a foreground's source has for it, or None."""
        part, place = self._items[index]
        items = self._sets[part]
        return items.trimap(place) if isinstance(items, HasTrimaps) else None


class MixedBackgrounds(_Joined):
    """Backgrounds of several sources."""

    def load(self, index: int) -> np.ndarray:
        """Return colours, uint8 RGB (H, W, 3)."""
        return super().load(index)


class Mixture:
    """A source of compositions made of several: training shows them in proportion to their weights.

    Args:
        parts: the sources by name, each as ``{"source": …}``; other keys are not looked at.
        weights: shares of the training samples, by name; 1 where it says nothing, 0 leaves a part out.
        name: the data set's name in results.
        version: changes the random choices of validation and test samples.

    Raises:
        InputError: a weight is negative or of no part, or nothing is left.
    """

    def __init__(
        self,
        parts: Mapping[str, Mapping[str, Any]],
        weights: Mapping[str, float] | None = None,
        name: str = "mixture",
        version: str = "1",
    ) -> None:
        weights = dict(weights or {})
        for part, weight in weights.items():
            if part not in parts:
                raise InputError(
                    f"data.weights.{part}: there is no such part; the parts are {', '.join(parts)}"
                )
            if not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
                raise InputError(f"data.weights.{part}={weight}: a weight is 0 or more")
        self.sources = {part: keys["source"] for part, keys in parts.items() if weights.get(part, 1) > 0}
        if not self.sources:
            raise InputError(
                "data.weights: every part has the weight 0, so nothing is left; give one of them more"
            )
        self.weights = {part: float(weights.get(part, 1)) for part in self.sources}
        self.name, self.version = name, str(version)

    @property
    def problems(self) -> list[str]:
        """What the parts have skipped so far."""
        return [problem for source in self.sources.values() for problem in getattr(source, "problems", [])]

    @property
    def notes(self) -> list[str]:
        """What a user should know of the parts' splits, a line each."""
        return [line for source in self.sources.values() for line in getattr(source, "notes", [])]

    def prepare(self, splits: Sequence[Split]) -> None:
        """Let the parts prepare themselves."""
        for source in self.sources.values():
            if hasattr(source, "prepare"):
                source.prepare(splits)

    def foregrounds(self, split: Split) -> ForegroundSet:
        """Return the foregrounds of all parts: for training by weight, else each once.

        Raises:
            InputError: no part has any.
        """
        sets = {part: source.foregrounds(split) for part, source in self._composed(split).items()}
        counts = {part: len(items) for part, items in sets.items()}
        num = turns(counts, self.weights) if split == "train" else counts
        if sum(num.values()) > MOST_ITEMS:
            lightest = min(sets, key=lambda part: self.weights[part] / counts[part])
            text = (
                f"data.weights.{lightest}={self.weights[lightest]:g}: "
                f"is too small for its {counts[lightest]} foregrounds"
            )
            raise InputError(
                f"{text}, "
                f"a pass would take {ceil(sum(num.values()) / 10**6)} million samples; raise it, or make it 0"
            )
        return MixedForegrounds(sets, num)

    def backgrounds(self, split: Split) -> BackgroundSet:
        """Return the backgrounds of all parts, each once."""
        sets: dict[str, BackgroundSet] = {
            part: source.backgrounds(split) for part, source in self._composed(split).items()
        }
        own = [part for part, items in sets.items() if isinstance(items, OwnBackground)]
        if own:
            raise InputError(
                f"data.parts.{own[0]}.background=own: a mixture is composited; "
                "set it to a folder of backgrounds"
            )
        return MixedBackgrounds(sets, {part: len(items) for part, items in sets.items()})

    def _composed(self, split: Split) -> dict[str, CompositionSource]:
        """Return the parts that have foregrounds in this split.

        Those that have finished images are scored by themselves.
        """
        parts = {
            part: source
            for part, source in self.sources.items()
            if isinstance(source, CompositionSource)
            and (split == "train" or not isinstance(source, ImageSource) or source.images(split) is None)
        }
        if not parts:
            raise InputError(
                f"data={self.name}: no part has foregrounds for the {split} split; "
                "evaluate the parts one by one (data=PART)"
            )
        return parts
