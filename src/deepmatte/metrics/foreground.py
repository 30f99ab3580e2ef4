"""The error of predicted foreground colours as a torchmetric."""

from __future__ import annotations

from torch import Tensor

from deepmatte.errors import InputError
from deepmatte.metrics.functional.foreground import foreground_mad, foreground_mse
from deepmatte.metrics.per_image import PerImage, at_image


class ForegroundError(PerImage):
    """``foreground_mse`` and ``foreground_mad`` (x 1000), means over images."""

    higher_is_better = False

    def __init__(self, **kwargs: object) -> None:
        super().__init__(width=2, **kwargs)

    def update(
        self, prediction: Tensor, foreground: Tensor, alpha: Tensor, index: Tensor | None = None
    ) -> None:
        """Score a batch of colours (N, 3, H, W) where alpha (N, 1, H, W) > 0; float in [0, 1] or uint8."""
        rows = []
        for i in range(len(prediction)):
            try:
                images = prediction[i], foreground[i], alpha[i]
                rows.append([foreground_mse(*images), foreground_mad(*images)])
            except InputError as error:
                raise at_image(error, i, index) from None
        self.append(rows, index)

    def compute(self) -> dict[str, Tensor]:
        """Return the means over all images of all processes as float64 scalars."""
        return dict(zip(("foreground_mse", "foreground_mad"), self.gathered()[1].mean(0), strict=True))
