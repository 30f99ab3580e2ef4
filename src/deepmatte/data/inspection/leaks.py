"""Mattes that are in two splits, or in the training set of a run and in what it is evaluated on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from deepmatte.data.inspection.fingerprints import (
    FORMAT,
    MOST_DIFFERENCE,
    SIDE,
    Fingerprint,
    as_record,
    fingerprints,
    from_record,
)
from deepmatte.data.sources.mixture import Mixture
from deepmatte.data.sources.protocols import (
    CompositionSource,
    HasDigest,
    ImageSet,
    ImageSource,
    KnowsOrigin,
    Source,
    Split,
)
from deepmatte.errors import InputError

MOST_NAMED = 3
"""Pairs that a refusal names."""

_AT_ONCE = 512
"""Thumbnails that are compared with all others at once."""


@dataclass(frozen=True)
class Leak:
    """One matte in two splits."""

    split: str
    one: Fingerprint
    other_split: str
    other: Fingerprint
    why: str

    def __str__(self) -> str:
        return f"{self.one.called} ({self.split}) and {self.other.called} ({self.other_split}): {self.why}"


def matches(these: Sequence[Fingerprint], those: Sequence[Fingerprint]) -> dict[int, tuple[int, str]]:
    """Return, for each of ``these`` whose matte is among ``those``, which one it is and the evidence."""
    exact: dict[str, int] = {}
    for place, one in enumerate(those):
        if one.exact:
            exact.setdefault(one.exact, place)
    found = {place: (exact[one.exact], "same matte") for place, one in enumerate(these) if one.exact in exact}
    rest = [place for place, one in enumerate(these) if place not in found and one.thumbnail]
    others = [place for place, one in enumerate(those) if one.thumbnail]
    if not rest or not others:
        return found
    thumbnails = _Thumbnails([those[place] for place in others])
    for start in range(0, len(rest), _AT_ONCE):
        part = rest[start : start + _AT_ONCE]
        for mirrored, why in (
            (False, "same matte at another size or from another encoder"),
            (True, "same matte, mirrored"),
        ):
            for row, column in thumbnails.alike(_Thumbnails([these[place] for place in part], mirrored)):
                found.setdefault(part[row], (others[column], why))
    return found


class _Thumbnails:
    """Thumbnails as rows of a matrix, with what it takes to compare them."""

    def __init__(self, prints: Sequence[Fingerprint], mirrored: bool = False) -> None:
        cells = np.stack([np.frombuffer(one.thumbnail, np.uint8).reshape(SIDE, SIDE) for one in prints])
        self.rows = cells[:, :, :: -1 if mirrored else 1].reshape(len(prints), -1).astype(np.float32)
        self.deviation = self.rows.std(axis=1)
        sides = np.array([(one.height, one.width) for one in prints], np.float32)
        self.shape, self.rounding = np.log(sides[:, 0] / sides[:, 1]), 1 / sides.min(axis=1)

    def alike(self, these: _Thumbnails) -> list[tuple[int, int]]:
        """Return pairs (of ``these``, of mine), at most one for each of ``these``."""
        squares = (
            np.square(these.rows).sum(1)[:, None] + np.square(self.rows).sum(1) - 2 * these.rows @ self.rows.T
        )
        share, levels = MOST_DIFFERENCE
        limit = np.maximum(share * np.minimum(these.deviation[:, None], self.deviation), levels)
        # A side is rounded to whole pixels when a matte is resized.
        same_shape = abs(these.shape[:, None] - self.shape) <= 0.01 + these.rounding[:, None] + self.rounding
        hits = (squares / SIDE**2 <= limit**2) & same_shape
        return [(int(row), int(hits[row].argmax())) for row in np.flatnonzero(hits.any(axis=1))]


def find_leaks(prints: Mapping[Split, Sequence[Fingerprint]]) -> list[Leak]:
    """Return the mattes that are in two splits: each of the earlier split once, with its first match.

    The very same finished images may serve as validation and as test.
    """
    leaks = []
    for split, other in combinations(prints, 2):
        one_set = {one.file for one in prints[split]} == {one.file for one in prints[other]}
        if split != "train" and one_set:
            continue
        for place, (twin, why) in matches(prints[split], prints[other]).items():
            leaks.append(Leak(split, prints[split][place], other, prints[other][twin], why))
    return leaks


def refuse_leaks(
    sets: Mapping[Split, Sequence[Any]], name: str, skip: bool = False
) -> dict[Split, list[Fingerprint]]:
    """Return the fingerprints of all splits, unless a matte is in two of them.

    ``skip`` passes over mattes that can't be read.

    Raises:
        InputError: a matte is in two splits; it names some.
    """
    prints = {
        split: [
            one
            for items in several
            for one in fingerprints(items, f"{split}: fingerprints of the mattes", skip)
        ]
        for split, several in sets.items()
    }
    leaks = find_leaks(prints)
    if leaks:
        some = "; ".join(map(str, leaks[:MOST_NAMED])) + (
            f"; and {len(leaks) - MOST_NAMED} more" if len(leaks) > MOST_NAMED else ""
        )
        count = f"{len(leaks)} mattes are" if len(leaks) > 1 else "one matte is"
        cure = (
            "remove one of the two, "
            "leave it out by a list (data.source.train.names) or give both one name (data.source.identity)"
        )
        raise InputError(
            f"data={name}: {count} in two splits: {some}; {cure}; `deepmatte data verify` lists all"
        )
    return prints


def scored_apart(source: Source, split: Split) -> list[ImageSet]:
    """Return the finished images of the parts of a mixture, on which they are scored one by one."""
    if not isinstance(source, Mixture) or split == "train":
        return []
    sets = [part.images(split) for part in source.sources.values() if isinstance(part, ImageSource)]
    return [items for items in sets if items is not None]


def training_record(source: Source, prints: Sequence[Fingerprint]) -> dict[str, Any]:
    """Return, as plain data, the fingerprints of a run's training mattes; of drawn ones, the set's digest."""
    return {
        "format": FORMAT,
        "mattes": as_record(prints),
        "drawn": [_identity(part, items) for part, items in _drawn(source, "train")],
    }


def joined_records(earlier: Any, record: dict[str, Any]) -> dict[str, Any]:
    """Return ``record`` with what an earlier one adds, for a run that was resumed after its data changed."""
    keys = ("mattes", "drawn")
    fits = (
        isinstance(earlier, dict)
        and earlier.get("format") == FORMAT
        and all(isinstance(earlier.get(key), list) for key in keys)
    )
    if not fits:
        return record
    known = {repr(one) for key in keys for one in record[key]}
    return record | {
        key: [*record[key], *(one for one in earlier[key] if repr(one) not in known)] for key in keys
    }


def trained_on(record: Any, source: Source, split: Split, prints: Sequence[Fingerprint]) -> dict[str, str]:
    """Return the pictures of a split whose mattes are in `training_record`: names here, and names there.

    Raises:
        ValueError: the record is something else.
    """
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"no record of format {FORMAT}")
    trained = from_record(record["mattes"])
    found = {prints[place].name: trained[twin].name for place, (twin, _) in matches(prints, trained).items()}
    for part, items in _drawn(source, split):
        if _identity(part, items) in record["drawn"]:
            found |= {name: name for name in items.names}
    return found


def _drawn(source: Source, split: Split) -> list[tuple[Source, Any]]:
    """Return the foregrounds of the source's parts that don't come from files, with the part."""
    parts = list(source.sources.values()) if isinstance(source, Mixture) else [source]
    found: list[tuple[Source, Any]] = []
    for part in parts:
        if isinstance(part, CompositionSource) and not (
            isinstance(part, ImageSource) and part.images(split) is not None
        ):
            items = part.foregrounds(split)
            if not isinstance(items, KnowsOrigin):
                found.append((part, items))
    return found


def _identity(source: Source, items: Any) -> list[str]:
    digest = (
        items.digest()
        if isinstance(items, HasDigest)
        else hashlib.sha256(repr(list(items.names)).encode()).hexdigest()
    )
    return [source.name, str(source.version), digest]
