"""The matting scores as torchmetrics: all at once (``MattingMetrics``) or one by one (``SingleScore``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from deepmatte.errors import InputError
from deepmatte.metrics.functional.inputs import prepare
from deepmatte.metrics.functional.matting import SCORES
from deepmatte.metrics.functional.protocols import Protocol, get_protocol
from deepmatte.metrics.names import DEFAULT_SCORES, METRICS
from deepmatte.metrics.per_image import PerImage, at_image


class MattingMetrics(PerImage):
    """Mean over images of the matting scores, and the scores of each image.

    Units: sad, grad, conn / 1000, mse and mad x 1000, miou in [0, 1]. An image without pixels in the
    protocol's region counts with errors of 0, so a mean is never NaN; ``num_images_without_unknown`` is the
    number of such images.

    Args:
        protocol: name of the protocol or a ``Protocol``.
        scores: which of sad, mse, mad, grad, conn, miou.
        kwargs: passed on to ``torchmetrics.Metric``.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(num=2)
    >>> metrics = MattingMetrics()
    >>> metrics.update(batch["alpha"], batch["alpha"], batch["trimap"], batch["index"])
    >>> {name: float(value) for name, value in metrics.compute().items()}
    {'sad': 0.0, 'mse': 0.0, 'grad': 0.0, 'conn': 0.0, 'miou': 1.0}
    """

    def __init__(
        self, protocol: str | Protocol = "adobe", scores: Sequence[str] = DEFAULT_SCORES, **kwargs: object
    ) -> None:
        unknown = [name for name in scores if name not in SCORES]
        if unknown:
            raise ValueError(f"score '{unknown[0]}' is unknown: choose among {', '.join(SCORES)}")
        super().__init__(width=1 + len(scores), **kwargs)
        self.protocol, self.scores = get_protocol(protocol), tuple(scores)
        self._per_image: list[dict[str, float]] = []
        self._num_without_unknown = 0

    def update(
        self, prediction: Tensor, alpha: Tensor, trimap: Tensor | None = None, index: Tensor | None = None
    ) -> None:
        """Score a batch.

        Args:
            prediction: (N, 1, H, W) float in [0, 1] or uint8, on any device; also a sequence of N images of
                different sizes.
            alpha: the same of the truth.
            trimap: (N, 1, H, W) uint8 of 0, 128, 255; None only under a protocol that needs none.
            index: (N,) dataset indices >= 0. Without them all images are taken as different.

        Raises:
            InputError: what ``prepare`` refuses, naming the image.
        """
        rows = []
        for i in range(len(prediction)):
            try:
                pair = prepare(prediction[i], alpha[i], None if trimap is None else trimap[i], self.protocol)
            except InputError as error:
                raise at_image(error, i, index) from None
            rows.append([pair.num_pixels] + [SCORES[name](pair) for name in self.scores])
        self.append(rows, index)

    def compute(self) -> dict[str, Tensor]:
        """Return the means over all images of all processes as float64 scalars."""
        indices, rows = self.gathered()
        self._per_image = [
            {"index": index, **dict(zip(self.scores, row, strict=True))}
            for index, row in zip(indices, rows[:, 1:].tolist(), strict=True)
        ]
        self._num_without_unknown = int((rows[:, 0] == 0).sum())
        return dict(zip(self.scores, rows[:, 1:].mean(0), strict=True))

    def per_image(self) -> list[dict[str, float]]:
        """Return {"index": ..., "sad": ..., ...} of all images of all processes, sorted by index.

        A collective call, unless ``compute`` was called last.
        """
        self.compute()
        return self._per_image

    @property
    def num_images(self) -> int:
        """Number of images in the last result."""
        return len(self._per_image)

    @property
    def num_images_without_unknown(self) -> int:
        """Number of images in the last result without a pixel in the protocol's region."""
        return self._num_without_unknown

    def reset(self) -> None:
        """Forget all images."""
        super().reset()
        self._per_image, self._num_without_unknown = [], 0


class SingleScore(MattingMetrics):
    """One score; ``compute`` returns its mean over images as a scalar."""

    score: ClassVar[str]

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.higher_is_better = METRICS[cls.score].higher_is_better

    def __init__(self, protocol: str | Protocol = "adobe", **kwargs: object) -> None:
        super().__init__(protocol, (self.score,), **kwargs)

    def compute(self) -> Tensor:  # type: ignore[override]
        """Return the mean over all images of all processes, a float64 scalar."""
        return super().compute()[self.score]
