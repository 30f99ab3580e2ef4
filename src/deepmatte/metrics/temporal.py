"""dtSSD as a torchmetric."""

from __future__ import annotations

from torch import Tensor

from deepmatte.metrics.functional.protocols import Protocol, get_protocol
from deepmatte.metrics.functional.temporal import dtssd
from deepmatte.metrics.per_image import PerImage


class DTSSD(PerImage):
    """dtSSD x 100, mean over clips; see ``functional.temporal.dtssd``."""

    higher_is_better = False

    def __init__(self, protocol: str | Protocol = "whole", **kwargs: object) -> None:
        super().__init__(width=1, **kwargs)
        self.protocol = get_protocol(protocol)

    def update(
        self, prediction: Tensor, alpha: Tensor, trimap: Tensor | None = None, index: Tensor | None = None
    ) -> None:
        """Score one clip: mattes (T, 1, H, W), trimap (T, 1, H, W) or None; ``index`` (1,) is the clip's."""
        trimaps = None if trimap is None else list(trimap)
        self.append([[dtssd(list(prediction), list(alpha), trimaps, self.protocol)]], index)

    def compute(self) -> Tensor:
        """Return the mean over all clips of all processes, a float64 scalar."""
        return self.gathered()[1].mean()
