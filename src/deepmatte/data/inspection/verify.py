"""Reading every file of a source, and listing what is wrong with any of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepmatte.data.composing.composition import Composition
from deepmatte.data.inspection.fingerprints import Fingerprint, distinct, fingerprint, fingerprints
from deepmatte.data.inspection.leaks import find_leaks, scored_apart
from deepmatte.data.parallel import shared, spread
from deepmatte.data.sources.files import FileSet
from deepmatte.data.sources.images import flat_matte
from deepmatte.data.sources.plates import check_plate
from deepmatte.data.sources.protocols import (
    CompositionSource,
    ImageSource,
    NoSplitError,
    OwnBackground,
    Picture,
    Source,
    Split,
    load_layers,
    load_picture,
    origin_of,
)
from deepmatte.errors import InputError
from deepmatte.files import printable
from deepmatte.ops.zones import full_scale

SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass
class Verdict:
    """What was read, and every problem in one line each.

    ``unavailable`` has the splits that the source was not made to have, ``unusable`` those that it should
    have; ``notes`` say what a user should know of the splits, such as what is not trained on.
    """

    num_items: int = 0
    problems: list[str] = field(default_factory=list)
    unavailable: dict[str, str] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def sets_of(source: Source, split: Split) -> dict[str, Any]:
    """Return the sets of a split by name: ``images``, or ``foregrounds`` and ``backgrounds``.

    Raises:
        InputError: the source has nothing for this split.
    """
    images = source.images(split) if isinstance(source, ImageSource) else None
    if images is not None:
        return {"images": images}
    if not isinstance(source, CompositionSource):
        raise InputError(f"data={source.name}: has no foregrounds")
    foregrounds, backgrounds = source.foregrounds(split), source.backgrounds(split)
    return {"foregrounds": foregrounds} | (
        {} if isinstance(backgrounds, OwnBackground) else {"backgrounds": backgrounds}
    )


def verify(source: Source, composition: Composition | None = None, processes: int | None = None) -> Verdict:
    """Read every item of every split; ``composition`` says how large a foreground to train on has to be.

    The source should have been made with ``on_error="skip"``, so that what it finds by names and headers is
    listed, too.
    """
    verdict = Verdict()
    contents: dict[tuple[str, bytes], tuple[str, str]] = {}
    prints: dict[Split, list[Fingerprint]] = {split: [] for split in SPLITS}
    read: list[Any] = []
    reported: set[tuple[str, str]] = set()
    for split in SPLITS:
        try:
            found = sets_of(source, split)
        except NoSplitError as error:
            verdict.unavailable[split] = str(error)
            continue
        except InputError as error:
            verdict.unusable[split] = str(error)
            continue
        for what, items in found.items():
            if isinstance(items, FileSet):
                if items.files in read:  # finished pictures may serve as validation and as test
                    continue
                read.append(items.files)
            common = (items, what, composition if split == "train" else None)  # what is scored is not cropped
            indices = distinct(items)
            results = spread(_read, indices, processes, f"{split} {what}", common=common)
            for index, (problem, content, one, notes) in zip(indices, results, strict=True):
                verdict.num_items += 1
                verdict.notes += notes
                if not problem and content:
                    problem = _twin(contents, split, what, _called(items, index), content)
                    if problem:
                        reported.add((split, items.names[index]))
                if problem:
                    verdict.problems.append(problem)
                if one is not None:
                    prints[split].append(one)
    for split in SPLITS:
        for images in scored_apart(source, split):
            prints[split] += fingerprints(images, f"{split} mattes", skip=True, processes=processes)
    _report_leaks(verdict, prints, reported)
    verdict.problems = [*getattr(source, "problems", []), *verdict.problems]
    verdict.notes += getattr(source, "notes", [])
    return verdict


def _report_leaks(
    verdict: Verdict, prints: Mapping[Split, Sequence[Fingerprint]], reported: set[tuple[str, str]]
) -> None:
    """Note the mattes that are in two splits, but for the pictures that are reported for their colours."""
    for leak in find_leaks(prints):
        if not {(leak.split, leak.one.name), (leak.other_split, leak.other.name)} & reported:
            text = (
                f"{leak.other.called}: "
                f"is in {leak.other_split} and shows the matte of {leak.one.called}, which is in {leak.split}"
            )
            verdict.problems.append(f"{text} ({leak.why}); remove it from one of the two")


def _called(items: Any, index: int) -> str:
    origin = origin_of(items, index)
    return printable(items.names[index] if origin is None else origin.files[0])


def _twin(
    contents: dict[tuple[str, bytes], tuple[str, str]], split: str, what: str, name: str, content: bytes
) -> str:
    """Return what is wrong with a picture that is, under whatever name, in two splits.

    Images are compared with foregrounds.
    """
    kind = "background" if what == "backgrounds" else "picture"
    other_split, other = contents.setdefault((kind, content), (split, name))
    if other_split == split:
        return ""
    return (
        f"{name}: is in {split} and shows the very pixels of {other}, "
        f"which is in {other_split}; remove it from one of the two"
    )


def _read(index: int) -> tuple[str, bytes, Fingerprint | None, list[str]]:
    """Return what is wrong with an item, or "", a sum of its colours, its matte's fingerprint, and notes."""
    items, what, composition = shared()
    name = _called(items, index)
    try:
        if what == "backgrounds":
            return "", _sum(items.load(index)), None, []
        if what == "images":
            shown = load_picture(items, index)
            problem = _trimap_problem(name, shown.trimap, shown.alpha)
            found = _fingerprint(items, index, shown.alpha)
            return problem, _sum(shown.image), found, _doubts(items, index, shown)
        colours, alpha = load_layers(items, index)
        if composition is not None:
            composition.check_size(name, *alpha.shape)
    except InputError as error:
        return str(error), b"", None, []
    if (alpha == alpha.flat[0]).all():
        origin = origin_of(items, index)
        return str(flat_matte(name if origin is None else origin.matte)), b"", None, []
    return "", _sum(colours), _fingerprint(items, index, alpha), []


def _fingerprint(items: Any, index: int, alpha: np.ndarray) -> Fingerprint | None:
    """Return the fingerprint of a matte that comes from a file.

    Drawn ones are in one split by their making.
    """
    origin = origin_of(items, index)
    return None if origin is None else fingerprint(alpha, items.names[index], str(origin.matte))


def _doubts(items: Any, index: int, shown: Picture) -> list[str]:
    """Return a line if a picture and its plate hardly agree; a clear contradiction is refused when read."""
    origin = origin_of(items, index)
    if origin is None or shown.captured_background is None:
        return []
    files = origin.files[0], origin.files[-1]
    return check_plate(shown.image, shown.captured_background, *files, shown.alpha)


def _trimap_problem(name: str, trimap: np.ndarray, alpha: np.ndarray) -> str:
    """Return what is wrong where trimap and matte differ so much that they belong to different pictures."""
    share = alpha / np.float32(full_scale(alpha))
    wrong = np.count_nonzero((trimap == 0) & (share > 0.9)) + np.count_nonzero(
        (trimap == 255) & (share < 0.1)
    )
    known = int(np.count_nonzero(trimap != 128))
    if wrong <= 0.05 * max(known, 1):
        return ""
    return (
        f"{name}: "
        f"its trimap contradicts its matte on {100 * wrong / known:.0f} % of the known pixels; "
        "they belong to different pictures"
    )


def _sum(pixels: np.ndarray) -> bytes:
    return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).digest()
