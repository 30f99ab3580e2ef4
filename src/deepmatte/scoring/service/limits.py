"""What a request may cost, and the error that refuses one."""

from __future__ import annotations

from dataclasses import dataclass

from deepmatte.errors import InputError


class RefusedError(InputError):
    """A request is refused; ``status`` is the HTTP status that says why, the message one line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Args:
        megabytes: of its body, in millions of bytes.
        megapixels: of each of its pictures, in millions of pixels.
        waiting: requests that may wait for a process; the next is refused.
        seconds: in which a request has to arrive, and in which it has to be worked off.
    """

    megabytes: float = 32
    megapixels: float = 4
    waiting: int = 8
    seconds: float = 120

    @property
    def num_bytes(self) -> int:
        """Of the body of a request."""
        return round(1e6 * self.megabytes)

    @property
    def num_pixels(self) -> int:
        """Of a picture."""
        return round(1e6 * self.megapixels)
