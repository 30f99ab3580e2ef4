"""numba's compiler, whose cache on disk needs a folder: the package's, the user's or a temporary one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any

import numba

from deepmatte.files import own_folder, temporary_folder


def _source() -> None:
    """Stand for any function of a module where numba looks for a folder."""


def _has_cache(module: Path) -> bool:
    """Return whether numba finds a folder for what it compiles of a module; it says so when it decorates."""
    function = FunctionType(_source.__code__.replace(co_filename=str(module)), {})
    try:
        numba.njit(cache=True)(function)
    except RuntimeError:
        return False
    return True


def _find_cache() -> None:
    """Let numba cache in a temporary folder where the package's and the user's can't be written.

    It would raise while our modules, or pymatting's, are imported. In a shared installation neither may be
    writable.
    """
    spec = find_spec("pymatting")
    root = Path((spec.submodule_search_locations or [""])[0]) if spec else Path(__file__).parent
    pymatting = (root / "foreground" / "estimate_foreground_ml.py", root / "util" / "kdtree.py")
    if all(_has_cache(module) for module in (Path(__file__), *pymatting)):
        return
    try:
        place = Path(tempfile.gettempdir())
    except FileNotFoundError:
        return  # nothing can be written anywhere
    folder = own_folder([place / f"deepmatte-numba-{os.geteuid()}"]) or temporary_folder()
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return numba's decorator of this name; where nothing can be written, every process compiles."""

    def compiled(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(**options)(function)
        except RuntimeError:
            return numba.njit(**options | {"cache": False})(function)

    return compiled


_find_cache()
