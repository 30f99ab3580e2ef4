"""Numbers that JSON has no word for."""

from __future__ import annotations

import math
from typing import Any


def plain(value: Any) -> Any:
    """Return ``value`` with None for numbers that JSON has no word for.

    >>> plain({"p": float("nan"), "mean": 1.5})
    {'p': None, 'mean': 1.5}
    """
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
