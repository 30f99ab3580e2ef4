"""Encoders of the package timm, by their names there."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from torch import Tensor, nn

from deepmatte.errors import InputError, one_line
from deepmatte.models.base import Normalisation
from deepmatte.models.encoders.encoder import Encoder
from deepmatte.models.encoders.layers import EncoderNorm
from deepmatte.models.encoders.weights import check_file, widened

ANY_SIZE: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
"""Options by which transformers of timm take pictures of any size; most of its networks have none."""


def has_timm() -> bool:
    """Return whether timm is installed."""
    return find_spec("timm") is not None


def timm_names() -> list[str]:
    """Return the names of timm's networks; none where it isn't installed."""
    if not has_timm():
        return []
    import timm

    return timm.list_models()


class TimmEncoder(Encoder):
    """A network of timm without its classifier, and with inputs beside the colours.

    timm itself gives a fourth input a copy of red's weights; here it starts at zero, like everywhere.

    Args:
        name: as timm knows it.
        inputs: channels of the input.
        norm: ``frozen``, if it has batch normalisation, whose statistics then stay those that were loaded, or
            ``batch``. Its other normalisations are left as they are.
        pretrained: ``imagenet``, downloaded by timm, the path of a copy, or None for random weights.

    Raises:
        InputError: timm can't make it, or not as an encoder; or its weights can't be had.
    """

    def __init__(
        self, name: str, inputs: int = 3, norm: EncoderNorm = "batch", pretrained: str | None = None
    ):
        super().__init__()
        if norm not in ("batch", "frozen"):
            raise InputError(f"model.norm={norm}: networks of timm keep their own; give batch or frozen")
        self.frozen = norm == "frozen"
        self.network = _created(name, pretrained)
        info = self.network.feature_info
        self.channels, self.strides = tuple(info.channels()), tuple(info.reduction())
        settings = self.network.pretrained_cfg
        self.colours = Normalisation(tuple(settings["mean"]), tuple(settings["std"]))
        self.channels_first = str(getattr(self.network, "output_fmt", "NCHW")).endswith("NCHW")
        first = next(part for part in self.network.modules() if isinstance(part, nn.Conv2d))
        first.weight = nn.Parameter(widened(first.weight.detach(), inputs))
        first.in_channels = inputs

    def train(self, mode: bool = True) -> TimmEncoder:
        """Train or evaluate; frozen statistics stay as they are."""
        super().train(mode)
        for part in self.modules():
            if self.frozen and isinstance(part, nn.BatchNorm2d):
                part.train(False)
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of all levels."""
        levels = self.network(x)
        return levels if self.channels_first else [level.permute(0, 3, 1, 2) for level in levels]


def _created(name: str, pretrained: str | None) -> Any:
    """Return the network of timm."""
    import timm

    keys: dict[str, Any] = {"features_only": True, "pretrained": pretrained is not None}
    if pretrained is not None and pretrained != "imagenet":
        check_file(pretrained)
        keys["pretrained_cfg_overlay"] = {"file": pretrained}
    for options in ANY_SIZE:
        try:
            return timm.create_model(name, **keys, **options)
        except TypeError as error:
            if not options:
                raise InputError(f"model.encoder={name}: {one_line(error)}") from error
        except Exception as error:  # of timm, of the download or of the file
            key = f"model.encoder={name}" if pretrained is None else f"model.pretrained={pretrained}"
            cure = "" if pretrained is None else "; give the path of a copy, or null for random weights"
            raise InputError(f"{key}: timm can't make {name} ({one_line(error)[:150]}){cure}") from error
    raise AssertionError
