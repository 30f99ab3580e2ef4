"""Hypothesis strategies for files that are nearly right: spoilt bytes, and documents with strange values."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

WORDS = (
    *("", "0", "-1", "nan", "inf", "1e309", "null", "~", "true", "2026-11-29", "9" * 400, "${oc.env:HOME}"),
    *(
        "../../etc/passwd",
        "/etc/passwd",
        "a\x00b",
        "a\nb",
        "\x1b[2J",
        "\ud800",
        "é猫",
        "=1+1",
        "<b>",
        "!!python/name:os",
    ),
    *("&a [*a]", "%s%n", "{}", "[", '"', "#", "a: b: c", "*x", "<<: 1", "\ufeff", "\u202e", "image", "seed"),
)
"""Texts that parsers, files, terminals, pages and formulas treat in ways of their own."""

NUMBERS = (0, -1, 1, 2, 255, 2**31, 2**32 - 1, 2**63, 2**64, -(2**63), 10**400, 0.5, 1e308, -0.0)
"""Numbers at the edges of types."""


def edges() -> st.SearchStrategy[bytes]:
    """Return bytes at the edges of types, and any others."""
    return st.one_of(
        st.sampled_from([bytes([value]) * count for value in (0, 255, 127, 128) for count in (1, 2, 4, 8)]),
        st.sampled_from([word.encode(errors="surrogatepass") for word in WORDS]),
        st.binary(max_size=12),
    )


def edited(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return one of the seeds with up to six places overwritten, cut out, repeated, swapped or filled in.

    Half of the places are near either end, where headers and directories are.
    """
    place = st.one_of(
        st.floats(0, 1),
        st.integers(0, 300),
        st.integers(-300, -1),
    )
    kind = st.sampled_from(["overwrite", "insert", "cut", "repeat", "end", "flip"])
    edit = st.tuples(kind, place, st.integers(1, 64), edges())
    return st.builds(_applied, st.sampled_from(list(seeds)), st.lists(edit, max_size=6))


def _applied(seed: bytes, edits: list[tuple[str, float, int, bytes]]) -> bytes:
    content = bytearray(seed)
    for kind, place, length, piece in edits:
        size = len(content)
        at = int(place * size) if isinstance(place, float) else place
        at = max(0, min(size, at if at >= 0 else size + at))
        if kind == "overwrite":
            content[at : at + len(piece)] = piece
        elif kind == "insert":
            content[at:at] = piece
        elif kind == "cut":
            del content[at : at + length]
        elif kind == "repeat":
            content[at:at] = content[at : at + length] * (1 + length % 5)
        elif kind == "end":
            del content[at:]
        elif at < size:
            content[at] ^= 1 << (length % 8)
    return bytes(content)


def plain() -> st.SearchStrategy[Any]:
    """Return plain data of any kind."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from(NUMBERS),
        st.floats(),
        st.sampled_from(WORDS),
        st.text(max_size=8),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
        ),
        max_leaves=6,
    )


def documents(whole: Any, written: Callable[[Any], bytes]) -> st.SearchStrategy[bytes]:
    """Return a document with up to three of its values replaced, removed, doubled or buried deeply.

    Args:
        whole: the right document, as plain data.
        written: how plain data are written; where it can't write a value, JSON of it is taken.
    """
    kind = st.sampled_from(["replace", "replace", "replace", "remove", "double", "bury"])
    change = st.tuples(st.lists(st.integers(0, 40), min_size=0, max_size=6), kind, plain())

    def built(changes: list[tuple[list[int], str, Any]]) -> bytes:
        document = copy.deepcopy(whole)
        for path, what, value in changes:
            document = _changed(document, path, what, value)
        try:
            return written(document)
        except (ValueError, TypeError, OverflowError, RecursionError):
            return json.dumps(str(document)[:2000]).encode()

    return st.builds(built, st.lists(change, min_size=1, max_size=3))


def _changed(node: Any, path: list[int], what: str, value: Any) -> Any:
    """Return ``node`` with one change at the place to which ``path`` leads, as far as it leads."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
    if not path or not keys:
        if what == "bury":
            for _ in range(200):
                value = [value]
        return value
    key = keys[path[0] % len(keys)]
    if len(path) > 1:
        node[key] = _changed(node[key], path[1:], what, value)
    elif what == "remove":
        del node[key]
    elif what == "double" and isinstance(node, list):
        node.append(node[key])
    else:
        node[key] = _changed(None, [], what, value)
    return node
