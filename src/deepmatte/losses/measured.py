"""What a term returns: its value alone, or with what it has measured beside it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Measured(NamedTuple):
    """A term's value, and scalars without gradient beside it that are logged as ``train/TERM/NAME``."""

    value: Tensor
    quantities: dict[str, Tensor]


def measured(found: Tensor | Measured) -> Measured:
    """Return what a term has found, with its quantities, if any."""
    return found if isinstance(found, Measured) else Measured(found, {})
