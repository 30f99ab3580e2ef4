"""What a source holds: counts and sizes by split, from names and headers, and a contact sheet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from deepmatte.data.inspection.sheet import Row, rows_of_sets
from deepmatte.data.inspection.verify import SPLITS, sets_of
from deepmatte.data.sources.decoding import read_header
from deepmatte.data.sources.files import FileSet
from deepmatte.data.sources.protocols import KnowsForegrounds, KnowsSizes, Source
from deepmatte.errors import InputError
from deepmatte.files import printable


@dataclass(frozen=True)
class Line:
    """One kind of picture in one split.

    ``num_distinct`` counts what is shown, ``note`` says why there is nothing to count or to draw.
    """

    split: str
    what: str
    count: int = 0
    num_distinct: int = 0
    smallest: str = ""
    largest: str = ""
    formats: str = ""
    note: str = ""


def describe(source: Source, num_pictures: int = 4) -> tuple[list[Line], list[Row]]:
    """Return a line for each set of each split, and rows for a contact sheet."""
    lines: list[Line] = []
    rows: list[Row] = []
    shown: list[Any] = []  # finished pictures may serve as validation and as test
    for split in SPLITS:
        try:
            found = sets_of(source, split)
        except InputError as error:
            lines.append(Line(split, "-", note=str(error)))
            continue
        lines += [_line(split, what, items) for what, items in found.items()]
        new = {
            what: items
            for what, items in found.items()
            if not isinstance(items, FileSet) or items.files not in shown
        }
        shown += [items.files for items in new.values() if isinstance(items, FileSet)]
        drawn, problems = rows_of_sets(new, split, num_pictures)
        rows += drawn
        lines += [Line(split, "-", note=problem) for problem in problems]
    return lines, rows


def _line(split: str, what: str, items: Any) -> Line:
    shown = items.names
    if isinstance(items, KnowsForegrounds):
        shown = [items.foreground(i) for i in range(len(shown))]
    sizes = sorted((_size(items, i) for i in range(len(items))), key=lambda size: size[0] * size[1])
    smallest, largest = (
        (f"{width}x{height}" for height, width in (sizes[0], sizes[-1])) if sizes else ("", "")
    )
    return Line(split, what, len(items), len(set(shown)), smallest, largest, _formats(items))


def _size(items: Any, index: int) -> tuple[int, int]:
    if isinstance(items, FileSet):
        header = read_header(items.files[index][0])
        return header.height, header.width
    if isinstance(items, KnowsSizes):
        return items.size(index)
    loaded = items.load(index)
    return (loaded[0] if isinstance(loaded, tuple) else loaded).shape[:2]


def _formats(items: Any) -> str:
    if not isinstance(items, FileSet):
        return ""
    groups = Counter("+".join(file.suffix.lower()[1:] for file in group) for group in items.files)
    return ", ".join(
        f"{printable(name)} {count}" if len(groups) > 1 else name for name, count in groups.most_common(3)
    )
