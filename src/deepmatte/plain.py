"""Plain data that others wrote: JSON and YAML, within bounds of size and depth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deepmatte.errors import visible

MOST_BYTES = 100_000_000
"""Longer files are refused: no record has so much, and plain data take many times the memory of text."""

MOST_DEPTH = 100
"""Lists and keys within one another; deeper ones end the parsers, and whatever walks through the data."""


def read_json(path: Path) -> Any:
    """Return what a file of JSON in UTF-8 holds.

    Raises:
        OSError: the file can't be read.
        ValueError: it holds something else, or is longer or deeper than the bounds; in one line.
    """
    text = _text(path)
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level, depth = [found], 0
    while level := [child for node in level for child in _children(node)]:
        depth += 1
        if depth > MOST_DEPTH:
            raise ValueError(_TOO_DEEP)
    return found


def check_yaml(path: Path) -> None:
    """Refuse a file of YAML that unfolds to more than it shows, before anything is made of it.

    Aliases (``*name``) repeat what an anchor names: nine short lines of them unfold to more than the memory.
    Nothing that we write has any.

    Raises:
        OSError: the file can't be read.
        ValueError: it is no YAML, has aliases, or is longer or deeper than the bounds; in one line.
    """
    import yaml

    depth = 0
    try:
        for event in yaml.parse(_text(path), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"has an alias, *{event.anchor}; write the value in its place")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MOST_DEPTH:
                raise ValueError(_TOO_DEEP)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def without_codes(node: Any) -> Any:
    r"""Return plain data with escapes in the place of what a terminal would obey; line breaks stay.

    >>> without_codes({"error": ["a\x1b[2Jb\nc"]})
    {'error': ['a\\x1b[2Jb\nc']}
    """
    if isinstance(node, dict):
        return {without_codes(key): without_codes(value) for key, value in node.items()}
    if isinstance(node, list):
        return [without_codes(value) for value in node]
    if not isinstance(node, str) or node.isprintable():
        return node
    return "\n".join(visible(line) for line in node.split("\n"))


_TOO_DEEP = f"nested more than {MOST_DEPTH} deep"


def _text(path: Path) -> str:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{size / 1e6:.0f} MB are more than a record can have")
    return path.read_text(encoding="utf-8")


def _children(node: Any) -> list[Any]:
    """Return the lists and mappings in a list or mapping."""
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [value for value in values if isinstance(value, dict | list)]
