"""Threads of compiled code in programs that fork: workers of loaders, and readers of many files."""

from __future__ import annotations

import numba

import deepmatte.ops.compiled  # noqa: F401  finds a folder for the cache before pymatting, too, is imported


def survive_forks() -> None:
    """Let numba use threads that survive a fork; children with its default, GNU OpenMP, would die.

    It has to be said before the first parallel code is loaded. A choice of the user's,
    ``NUMBA_THREADING_LAYER``, stays.
    """
    if numba.config.THREADING_LAYER == "default":  # type: ignore[attr-defined]  # numba sets its settings by name
        numba.config.THREADING_LAYER = "forksafe"  # type: ignore[attr-defined]
