"""Foreground colours free of the background, estimated from a photograph and its matte."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType

import numba
import numpy as np

from deepmatte.ops.threads import survive_forks


def estimate_foreground(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return foreground colours (H, W, 3), float32, of an image (H, W, 3) and alpha (H, W), all in [0, 1].

    Multi-level estimation (Germer, Uelwer, Conrad, Harmeling 2020) by pymatting. Where alpha is 1, the
    colours are those of the image, as the matting equation demands; where it is 0, they continue their
    neighbours.

    >>> estimate_foreground(np.full((2, 2, 3), 0.25), np.ones((2, 2))).ravel()[0]
    np.float32(0.25)
    """
    if alpha.size == 1:  # no neighbours, and pymatting would divide by zero levels
        return image.astype(np.float32)
    solve, threads = estimator(), numba.get_num_threads()
    # Only its nearest-neighbour resizing is parallel: waking threads takes longer than it saves.
    numba.set_num_threads(1)
    try:
        estimated = solve(image, alpha)
    finally:
        numba.set_num_threads(threads)
    return np.where(alpha[..., None] >= 1, image, estimated).astype(np.float32)


@cache
def estimator() -> Callable[..., np.ndarray]:
    """Return pymatting's ``estimate_foreground_ml``, compiled on first use on a machine (ten seconds).

    ``import pymatting`` compiles its alpha solvers too and, once they are cached, takes 2.8 s instead of 1.8
    s in every process. So empty packages with the right paths replace pymatting's own while this one module
    is imported under its real name; compiled code and later imports are not affected.
    """
    survive_forks()
    name = "pymatting.foreground.estimate_foreground_ml"
    stand_ins: dict[str, ModuleType] = {}
    if "pymatting" not in sys.modules:
        spec = importlib.util.find_spec("pymatting")
        assert spec is not None
        assert spec.submodule_search_locations is not None
        root = spec.submodule_search_locations[0]
        for package, path in (("pymatting", root), ("pymatting.foreground", f"{root}/foreground")):
            stand_ins[package] = ModuleType(package)
            stand_ins[package].__path__ = [path]
    sys.modules.update(stand_ins)
    try:
        return importlib.import_module(name).estimate_foreground_ml
    finally:
        for package in stand_ins:
            del sys.modules[package]
