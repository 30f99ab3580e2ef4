"""Methods without a network: each maps an image and its trimap to alpha, on arrays; `METHODS` lists them.

A method is a frozen dataclass of its options; calling it solves one image. Degenerate images give a defined
matte and a `MattingWarning`, never a crash.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepmatte.classical.blend import Blend
from deepmatte.classical.fast import FastClosedForm, FastInformationFlow, FastKNN
from deepmatte.classical.gmm import GaussianMixture
from deepmatte.classical.grabcut import GrabCut
from deepmatte.classical.information_flow import InformationFlow
from deepmatte.classical.kmeans import KMeans
from deepmatte.classical.laplacian import KNN, ClosedForm, LearningBased, RandomWalk
from deepmatte.classical.method import ClassicalMethod, MattingWarning
from deepmatte.classical.trivial import Trivial

METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    method.name: method
    for method in (
        *(Trivial(), KMeans(), GaussianMixture(), GrabCut()),
        *(ClosedForm(), FastClosedForm(), KNN(), FastKNN(), LearningBased(), RandomWalk()),
        *(InformationFlow(), FastInformationFlow(), Blend()),
    )
}
"""Methods with default options, by name.

Each maps an image (H, W, 3) float64 in [0, 1] and a trimap (H, W) uint8 0 / 128 / 255 to alpha (H, W) in
[0, 1].
"""

__all__ = [
    "KNN",
    "METHODS",
    "Blend",
    "ClassicalMethod",
    "ClosedForm",
    "FastClosedForm",
    "FastInformationFlow",
    "FastKNN",
    "GaussianMixture",
    "GrabCut",
    "InformationFlow",
    "KMeans",
    "LearningBased",
    "MattingWarning",
    "RandomWalk",
    "Trivial",
]
