"""The interface of every matting network: what it reads, its parts, its colours, and the padding for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from deepmatte.batch import Batch, Matte
from deepmatte.ops.padding import pad_to_multiple

COLOURS = ("image", "captured_background")
"""The keys of a batch that a network reads as colours."""

Inputs = Mapping[str, Tensor]
"""What a network sees, by the keys of a batch: (N, C, H, W), normalised, H and W divisible."""


@dataclass(frozen=True)
class Normalisation:
    """How a network's colours are made of those in [0, 1]: (x - mean) / std in each channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIGNED = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)
"""(x - 127) / 128 of 8-bit colours."""
UNSCALED = Normalisation((0.0,) * 3, (1.0,) * 3)
"""Colours stay in [0, 1]."""


class MattingModel(nn.Module):
    """A network that maps a batch to a matte.

    A subclass says what it is by the attributes below and implements `predict`; colours are normalised, sides
    padded and the outputs cropped here, for all. One that wants the batch as it is overrides `forward`.

    Attributes:
        reads: keys of the batch that it uses. Training refuses data without them, and the trimap's known
            zones are imposed on its matte only where ``trimap`` is among them.
        parts: submodules that a training stage can train or freeze, and to which learning rates of their own
            can be given.
        critics: those of the parts that judge mattes instead of predicting them (`deepmatte.batch.CRITICS`).
            Loss terms read them by their names in the batch; their gradients are clipped apart, and averaged
            weights leave them out.
        gives: outputs of its matte beside alpha that losses can learn from: ``foreground``, ``error``.
        stages: the file of ``conf/stages/`` that trains it as published.
        guides: the classical methods, by name, whose mattes it reads as ``guide``; an instance sets its own.
            They are no part of it: the data have them solved, or whoever else calls it.
        multiple: the sides of its inputs are padded to a multiple of this; an instance may set its own.
    """

    reads: ClassVar[tuple[str, ...]] = ("image", "trimap")
    parts: ClassVar[tuple[str, ...]] = ()
    critics: ClassVar[tuple[str, ...]] = ()
    gives: ClassVar[tuple[str, ...]] = ()
    stages: ClassVar[str] = "joint"
    guides: tuple[str, ...] = ()
    multiple: int = 1
    memory_format: torch.memory_format = torch.contiguous_format

    mean: Tensor
    std: Tensor

    def __init__(self, normalisation: Normalisation = IMAGENET) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(normalisation.mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(normalisation.std).reshape(3, 1, 1), persistent=False)

    def use_channels_last(self) -> None:
        """Lay weights and activations out channels last, as tensor cores want them."""
        self.memory_format = torch.channels_last
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it

    def normalise(self, image: Tensor) -> Tensor:
        """Return (N, 3, H, W) colours in [0, 1] as the network expects them."""
        return (image - self.mean) / self.std

    def unpadded_inputs(self, batch: Batch) -> dict[str, Tensor]:
        """Return what the network reads of a batch: colours normalised, the trimap with 0, 128/255 and 1.

        Other keys are as they are.
        """
        found = cast(Mapping[str, Any], batch)
        inputs = {key: found[key] for key in self.reads}
        for key, values in inputs.items():
            if key in COLOURS:
                inputs[key] = self.normalise(values)
            elif key == "trimap":
                inputs[key] = values.to(batch["image"].dtype) / 255
        return inputs

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """Return the `unpadded_inputs` of a batch, padded by reflection at the right and the bottom."""
        return {
            key: pad_to_multiple(values, self.multiple) for key, values in self.unpadded_inputs(batch).items()
        }

    def forward(self, batch: Batch, refine: bool = True) -> Matte:
        """Return the matte of images of any size; ``refine=False`` stops at the coarse matte."""
        return self.predict(self.inputs(batch), refine).cropped(*batch["image"].shape[-2:])

    def predict(self, inputs: Inputs, refine: bool) -> Matte:
        """Return the matte of the padded inputs, at their size; ``refine=False`` stops at the coarse one.

        ``Matte.coarse`` may have any smaller size that covers the same picture.
        """
        raise NotImplementedError

    def players(self) -> list[list[nn.Parameter]]:
        """Return the parameters of what predicts the matte, and those of each critic."""
        named = list(self.named_parameters())
        judges = [[weight for name, weight in named if name.startswith(f"{part}.")] for part in self.critics]
        return [[weight for name, weight in named if name.partition(".")[0] not in self.critics], *judges]

    def layers_above(self, parameter: str) -> int:
        """Return how many layers lie between the parameter of that name and the end of its stack of layers.

        With ``stages.STAGE.layer_decay`` a parameter learns at its part's rate times the decay to that power:
        0 is the part's own rate, which all parameters have unless a model with a transformer says otherwise.
        """
        return 0


def matte_of(logit: Tensor, coarse: Matte | None = None) -> Matte:
    """Return the matte of a logit, both in at least 32 bits, even if autocast computed the logit in fewer."""
    logit = at_least_float32(logit)
    return Matte(torch.sigmoid(logit), logit=logit, coarse=coarse)


def at_least_float32(values: Tensor) -> Tensor:
    """Return values in float32 or float64, whatever autocast computed them in."""
    return values if values.dtype == torch.float64 else values.float()
