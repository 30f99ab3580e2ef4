"""The error of predicted foreground colours as a torchmetric."""

from __future__ import annotations

from torch import Tensor

from deepmatte.errors import InputError
from deepmatte.metrics.functional.foreground import foreground_mad, foreground_mse
from deepmatte.metrics.per_image import PerImage, at_image

WHOLE = ("foreground_mse", "foreground_mad")
UNKNOWN = ("foreground_mse_unknown", "foreground_mad_unknown")


class ForegroundError(PerImage):
    """``foreground_mse`` and ``foreground_mad`` (x 1000), means over images.

    Args:
        unknown: whether to score by the second protocol, too, as ``foreground_mse_unknown`` and
            ``foreground_mad_unknown``, for which every image needs a trimap.
        kwargs: passed on to ``torchmetrics.Metric``.
    """

    higher_is_better = False

    def __init__(self, unknown: bool = False, **kwargs: object) -> None:
        self.names = (*WHOLE, *UNKNOWN) if unknown else WHOLE
        super().__init__(width=len(self.names), **kwargs)

    def update(
        self,
        prediction: Tensor,
        foreground: Tensor,
        alpha: Tensor,
        index: Tensor | None = None,
        trimap: Tensor | None = None,
    ) -> None:
        """Score a batch of colours (N, 3, H, W) where alpha (N, 1, H, W) > 0; float in [0, 1] or uint8.

        Raises:
            InputError: an image is of another size or has values out of range, or trimaps are wanting.
        """
        if trimap is None and len(self.names) > len(WHOLE):
            raise InputError("trimap is missing: the foreground error of the unknown zone needs one")
        rows = []
        for i in range(len(prediction)):
            try:
                images = prediction[i], foreground[i], alpha[i]
                row = [foreground_mse(*images), foreground_mad(*images)]
                if trimap is not None and len(self.names) > len(WHOLE):
                    zone = trimap[i]
                    row += [foreground_mse(*images, zone), foreground_mad(*images, zone)]
            except InputError as error:
                raise at_image(error, i, index) from None
            rows.append(row)
        self.append(rows, index)

    def compute(self) -> dict[str, Tensor]:
        """Return the means over all images of all processes as float64 scalars."""
        return dict(zip(self.names, self.gathered()[1].mean(0), strict=True))

    def per_image(self) -> list[dict[str, float]]:
        """Return {"index": …, "foreground_mse": …} of all images of all processes; a collective call."""
        indices, rows = self.gathered()
        return [
            {"index": index, **dict(zip(self.names, row, strict=True))}
            for index, row in zip(indices, rows.tolist(), strict=True)
        ]
