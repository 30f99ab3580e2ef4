"""Deep Image Matting as published by mmagic (formerly MMEditing) and by huochaitiantang."""

from __future__ import annotations

from deepmatte.errors import InputError
from deepmatte.models.convert.converter import Converter
from deepmatte.models.vgg import VGG16_BLOCKS
from deepmatte.models.weights import State

ENCODER, DECODER, REFINER = "encoder_decoder.encoder", "encoder_decoder.decoder", "refiner.convs"
ENDS = r"\.(weight|bias)"

_REFINER = [
    *((rf"refine_conv{k}{ENDS}", rf"{REFINER}.{2 * (k - 1)}.\1") for k in (1, 2, 3)),
    (rf"refine_pred{ENDS}", rf"{REFINER}.6.\1"),
]
"""Both name the refiner alike."""

_DECODER = [
    (rf"deconv6_1{ENDS}", rf"{DECODER}.deconv6.\1"),
    *((rf"deconv{5 - k}_1{ENDS}", rf"{DECODER}.deconvs.{k}.0.\1") for k in range(5)),
    (rf"deconv1{ENDS}", rf"{DECODER}.alpha.\1"),
]
"""And the decoder."""


def _below(prefix: str, names: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(rf"{prefix}\.{theirs}", ours) for theirs, ours in names]


def _same_in_both(block: int, layer: int) -> str:
    return rf"{ENCODER}.blocks.{block}.{2 * layer}.\1"


def _layers() -> list[tuple[int, int]]:
    return [(block, layer) for block, channels in enumerate(VGG16_BLOCKS) for layer in range(len(channels))]


MMAGIC = Converter(
    source="Deep Image Matting of mmagic (configs/dim, without ASPP and batch normalisation)",
    overrides=lambda theirs: ["model=dim"],
    names=[
        *(
            (rf"backbone\.encoder\.layer{block + 1}\.{2 * layer}{ENDS}", _same_in_both(block, layer))
            for block, layer in _layers()
        ),
        (rf"backbone\.encoder\.conv6{ENDS}", rf"{ENCODER}.conv6.\1"),
        *_below(r"backbone\.decoder", _DECODER),
        *_below("refiner", _REFINER),
    ],
    left_out=[
        r"loss_\w+\..*",  # buffers of their loss modules
        r"data_preprocessor\..*",  # mean and standard deviation, which are those of ImageNet here
    ],
    optional=["refiner"],
)


def _huochaitiantang(theirs: State) -> list[str]:
    """Return the overrides: conv6 is 1x1 in their releases before September 2019, 3x3 since.

    Their last release adds the encoder's features to the decoder's, which needs ``model.skips=sum`` and can't
    be told from the weights.
    """
    conv6 = theirs.get("conv6_1.weight")
    if conv6 is None:
        raise InputError("conv6_1.weight: is missing in the file; give one of huochaitiantang's VGG16")
    return ["model=dim", f"model.conv6={conv6.shape[-1]}"]


HUOCHAITIANTANG = Converter(
    source="pytorch-deep-image-matting of huochaitiantang",
    overrides=_huochaitiantang,
    names=[
        *((rf"conv{block + 1}_{layer + 1}{ENDS}", _same_in_both(block, layer)) for block, layer in _layers()),
        (rf"conv6_1{ENDS}", rf"{ENCODER}.conv6.\1"),
        *_DECODER,
        *_REFINER,
    ],
    optional=["refiner"],
)
