"""Docstrings as Markdown: examples become blocks of code, and labelled lines paragraphs of their own."""

from __future__ import annotations

import re
from typing import Any

import griffe

_LABELS = re.compile(r"^(Formula|Source|Optimises|Proper|Use|Cost|Differences|Trained|Licence): ", re.M)


class Docstrings(griffe.Extension):
    """What griffe, which reads the sources for the reference, does with each docstring."""

    def on_object(self, *, obj: griffe.Object, loader: Any, **_: Any) -> None:
        """Rewrite the docstring of an object."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Return a docstring with its examples in fences.

    An example ends with its paragraph, as doctest has it.
    """
    parts = re.split(r"\n\s*\n", text.rstrip())
    parts = [f"```pycon\n{part}\n```" if part.startswith(">>> ") else part for part in parts]
    return _LABELS.sub(r"\n**\1:** ", "\n\n".join(parts))
