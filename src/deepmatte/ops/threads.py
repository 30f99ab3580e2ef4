"""Threads of compiled code in programs that fork: loaders' workers, and those that read many files at once."""

from __future__ import annotations

import numba

import deepmatte.ops.compiled  # noqa: F401  finds a folder for the cache before pymatting, too, is imported


def survive_forks() -> None:
    """Let numba take threads that forked processes survive; those of GNU OpenMP, its usual choice, end every child that uses them.

    It has to be said before the first parallel code is loaded. A choice of the user's,
    ``NUMBA_THREADING_LAYER``, stays.
    """
    if numba.config.THREADING_LAYER == "default":  # type: ignore[attr-defined]  # numba sets its settings by name
        numba.config.THREADING_LAYER = "forksafe"  # type: ignore[attr-defined]
