"""What goes to a process that mattes, and what comes back. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Output = Literal["alpha", "cutout", "trimap"]

OUTPUTS: dict[str, str] = {
    "alpha": "the matte, grey",
    "cutout": "RGBA with the foreground's own colours",
    "trimap": "what was made of the mask, box or strokes",
}
"""What can be asked for, and what it is."""

HINTS: dict[str, str] = {
    "trimap": "a picture, 0 background, 255 foreground, 128 unknown",
    "mask": "a picture, white on the foreground",
    "scribbles": "a picture, white strokes on the foreground and black ones beside it",
    "box": "X,Y,WIDTH,HEIGHT around the foreground, in pixels",
}
"""What says where the foreground is: one of these; all but the box are files."""


@dataclass(frozen=True)
class Order:
    """What a request asks for; pictures as files in memory, everything as it came, unread.

    Args:
        image: the photograph.
        hint: which of `HINTS` says where the foreground is.
        given: the picture or the text of the hint.
        method: a classical method, or a run that the server has.
        output: one of `OUTPUTS`.
        width: of the unknown band where the trimap is made.
    """

    image: bytes
    hint: str
    given: bytes | str
    method: str
    output: str = "alpha"
    width: str = "auto"


@dataclass(frozen=True)
class Answer:
    """A PNG file, or the one line that says why there is none.

    Args:
        status: of HTTP: 200, or why.
        content: the file, or the line.
        notes: what the method warned of.
    """

    status: int
    content: bytes | str
    notes: tuple[str, ...] = ()
