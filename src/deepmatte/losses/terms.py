"""The terms: each loss function with its kind and the batch keys that it reads, one line a term."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from deepmatte.batch import LAYERS
from deepmatte.losses.adversarial import adversarial_loss, discriminator_loss
from deepmatte.losses.classification import bce_loss, focal_complaint, focal_loss
from deepmatte.losses.consistency import ddc_loss, temporal_loss
from deepmatte.losses.lovasz import lovasz_loss
from deepmatte.losses.measured import Measured
from deepmatte.losses.metric_losses import grad_metric_loss, ssim_loss
from deepmatte.losses.overlap import dice_loss, jaccard_loss, tversky_loss
from deepmatte.losses.predictions import error_loss, foreground_loss
from deepmatte.losses.regression import alpha_loss, composition_loss, gradient_loss, laplacian_loss
from deepmatte.losses.regularisers import gradient_penalty_loss, smoothness_loss
from deepmatte.losses.table.options import defaults_of

Loss = Callable[..., Tensor | Measured]
Kind = Literal["regression", "regulariser", "classification", "overlap", "surrogate", "adversarial"]
FITS = ("regression", "classification", "overlap", "surrogate")
"""The kinds of terms that can train alone: they compare the matte with the truth."""


@dataclass(frozen=True)
class Term:
    """A loss function ``(matte, batch, **options) -> scalar``, its kind, and the batch keys that it reads.

    Among them may be a critic of the model (`deepmatte.batch.CRITICS`). A term that teaches the matte freezes
    the critic (`deepmatte.ops.freezing.frozen`), one that teaches the critic detaches the matte: so their sum
    is one loss that gives each of the two its own gradient. ``teaches`` names the critics that learn from it.

    ``predicted`` are the outputs that it reads beside alpha, of `deepmatte.batch.Matte`, which few models
    have. ``complaint`` returns what is wrong with options that are valid one by one, starting with the
    option's name, or None.
    """

    function: Loss
    kind: Kind
    reads: tuple[str, ...] = ("alpha", "trimap")
    teaches: tuple[str, ...] = ()
    complaint: Callable[[Mapping[str, Any]], str | None] | None = None
    predicted: tuple[str, ...] = ()

    @property
    def defaults(self) -> dict[str, Any]:
        """The options and their default values."""
        return defaults_of(self.function)


LOSSES: dict[str, Term] = {
    "alpha": Term(alpha_loss, "regression"),
    "composition": Term(composition_loss, "regression", reads=("alpha", "trimap", *LAYERS)),
    "gradient": Term(gradient_loss, "regression"),
    "laplacian": Term(laplacian_loss, "regression"),
    "smoothness": Term(smoothness_loss, "regulariser", reads=("alpha", "trimap", "image")),
    "gradient_penalty": Term(gradient_penalty_loss, "regulariser"),
    "ddc": Term(ddc_loss, "regulariser", reads=("image", "trimap")),
    "temporal": Term(temporal_loss, "regulariser", reads=("alpha", "trimap", "previous")),
    "foreground": Term(
        foreground_loss, "regulariser", reads=("alpha", "foreground"), predicted=("foreground",)
    ),
    "error": Term(error_loss, "regulariser", reads=("alpha",), predicted=("error",)),
    "bce": Term(bce_loss, "classification"),
    "focal": Term(focal_loss, "classification", complaint=focal_complaint),
    "dice": Term(dice_loss, "overlap"),
    "jaccard": Term(jaccard_loss, "overlap"),
    "tversky": Term(tversky_loss, "overlap"),
    "lovasz": Term(lovasz_loss, "overlap"),
    "grad_metric": Term(grad_metric_loss, "surrogate"),
    "ssim": Term(ssim_loss, "surrogate"),
    "adversarial": Term(
        adversarial_loss, "adversarial", reads=("trimap", "foreground", "background", "discriminator")
    ),
    "discriminator": Term(
        discriminator_loss,
        "adversarial",
        reads=("trimap", *LAYERS, "discriminator"),
        teaches=("discriminator",),
    ),
}
"""Every term by name: its key in the configuration, its function without ``_loss`` and its logged column."""

WITHOUT_CRITIC = tuple(name for name, term in LOSSES.items() if term.kind != "adversarial")
"""The terms for any model: they read matte and data alone, and return a value alone."""

OWN_READS = ("image", "alpha", "trimap")
"""What a user's own function without the attribute ``reads`` is assumed to read: the keys of all data."""
