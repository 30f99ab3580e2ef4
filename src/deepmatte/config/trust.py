"""Whose code a configuration may name, besides ours: packages that the user trusts as a whole."""

from __future__ import annotations

import os
from collections.abc import Sequence

TRUSTED = "DEEPMATTE_ALLOWED_TARGETS"
"""Environment variable with those packages, separated by commas; ``package.`` is the same as ``package``."""


def trusted_packages() -> tuple[str, ...]:
    """Return the user's own packages whose classes and loss functions may be named."""
    names = (word.strip().rstrip(".") for word in os.environ.get(TRUSTED, "").split(","))
    return tuple(name for name in names if name)


def is_below(module: str, packages: Sequence[str]) -> bool:
    """Return whether ``module`` is one of ``packages`` or a part of one.

    >>> is_below("mine.nets", ["mine"]), is_below("mine", ["mine"]), is_below("mineral", ["mine"])
    (True, True, False)
    """
    return any(f"{module}.".startswith(f"{package}.") for package in packages)
