"""Where models that refine classical mattes get them: the methods by name, and the guides of a batch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import cast

import numpy as np
import torch

from deepmatte.batch import Batch
from deepmatte.classical import METHODS, ClassicalMethod, MattingWarning
from deepmatte.data.guides import Solver, guide_of
from deepmatte.errors import InputError, did_you_mean
from deepmatte.models import MattingModel

FORMAT = 2
"""Counted up when a method here computes something else, so that guides of before are not used any more."""


def solvers(methods: Sequence[str]) -> list[Solver]:
    """Return the methods of those names, with their default options, ready to be forked.

    Raises:
        InputError: there is no such method.
    """
    found = []
    for name in methods:
        if name not in METHODS:
            meant = did_you_mean(name, METHODS) or f"; choose of {', '.join(METHODS)}"
            raise InputError(f"model.guides: there is no method {name}{meant}")
        method = cast(ClassicalMethod, METHODS[name])
        method.prepare()
        found.append(
            Solver(name, f"{FORMAT} {method!r} pymatting {version('pymatting')}", partial(_solve, method))
        )
    return found


def _solve(method: ClassicalMethod, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    # A guide that is a fallback is one, too: the network sees image and trimap beside it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MattingWarning)
        return method(image, trimap)


def with_guide(batch: Batch, model: MattingModel) -> Batch:
    """Return the batch with the ``guide`` that the model reads, solved of its images and trimaps now."""
    if "guide" not in model.reads:
        return batch
    methods = solvers(model.guides)
    pairs = zip(batch["image"], batch["trimap"], strict=True)
    guide = torch.stack([guide_of(image, trimap, methods) for image, trimap in pairs])
    return cast(Batch, {**batch, "guide": guide.to(batch["image"])})
