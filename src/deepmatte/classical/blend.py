"""The mean of several methods' mattes: where one is wrong, another often is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepmatte.classical.fast import FastClosedForm, FastInformationFlow, FastKNN
from deepmatte.classical.information_flow import InformationFlow
from deepmatte.classical.laplacian import KNN, ClosedForm, LearningBased, RandomWalk
from deepmatte.classical.method import ClassicalMethod, check_option
from deepmatte.ops.zones import impose_trimap

BLENDED = {
    method.name: method
    for method in (
        *(ClosedForm(), FastClosedForm(), KNN(), FastKNN(), LearningBased(), RandomWalk()),
        *(InformationFlow(), FastInformationFlow()),
    )
}
"""The methods that can be blended, with default options, by name."""


@dataclass(frozen=True)
class Blend(ClassicalMethod):
    """The plain mean of the mattes of several methods, each within its own limit of megapixels.

    Closed form propagates over edges and smooth colours, KNN between pixels that are far apart. On the
    photographs of alphamatting.com their mean has lower SAD, MSE, Grad and Conn than closed form, with tight
    and with loose trimaps (`benchmarks/photographs.py`; docs/model_card.md).

    Args:
        methods: two or more names of `BLENDED`.
    """

    name: ClassVar[str] = "blend"

    methods: tuple[str, ...] = (FastClosedForm.name, KNN.name)

    def __post_init__(self) -> None:
        """Check the options; a list, as read from YAML, becomes a tuple."""
        names: Sequence[str] = self.methods
        valid = (
            not isinstance(names, str) and len(set(names)) == len(names) > 1 and set(names) <= set(BLENDED)
        )
        shown = names if isinstance(names, str) else f"[{','.join(map(str, names))}]"
        check_option(self.name, "methods", shown, valid, f"two or more of {', '.join(BLENDED)}, each once")
        object.__setattr__(self, "methods", tuple(names))

    def prepare(self) -> None:
        """Import what its methods need."""
        for name in self.methods:
            BLENDED[name].prepare()

    def solve(self, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
        """Return alpha (H, W)."""
        assert trimap is not None
        return np.mean([impose_trimap(BLENDED[name](image, trimap), trimap) for name in self.methods], 0)
