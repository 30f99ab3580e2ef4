"""AlphaGAN's generator as published by CDOTAD/AlphaGAN-Matting (its ``netG_*.pth``)."""

from __future__ import annotations

from deepmatte.models.convert.converter import Converter
from deepmatte.models.weights import State

RATES = (1, 6, 12, 18)
REST = r"\.(.*)"


def _overrides(theirs: State) -> list[str]:
    """Return the overrides; batch normalisation, their first setting, has running statistics."""
    statistics = any(name.endswith("running_mean") for name in theirs)
    return ["model=alphagan", f"model.norm={'batch' if statistics else 'group'}"]


CDOTAD = Converter(
    source="the generator of CDOTAD's AlphaGAN-Matting",
    overrides=_overrides,
    names=[
        (rf"encoder\.resnet50\.conv_1{REST}", r"encoder.conv1.\1"),
        (rf"encoder\.resnet50{REST}", r"encoder.\1"),
        *(
            (rf"encoder\.aspp\.aspp_{rate}\.atrous_conv{REST}", rf"aspp.convs.{row}.0.\1")
            for row, rate in enumerate(RATES)
        ),
        *(
            (rf"encoder\.aspp\.aspp_{rate}\.bn{REST}", rf"aspp.convs.{row}.1.\1")
            for row, rate in enumerate(RATES)
        ),
        (rf"encoder\.aspp\.image_pooling{REST}", rf"aspp.convs.{len(RATES)}.\1"),
        (rf"encoder\.aspp\.conv1{REST}", r"aspp.project.\1"),
        (rf"decoder\.skip_3{REST}", r"decoder.skip_quarter.\1"),
        (rf"decoder\.deconv1_x{REST}", r"decoder.at_quarter.\1"),
        (rf"decoder\.skip_2{REST}", r"decoder.skip_half.\1"),
        (rf"decoder\.deconv2_x{REST}", r"decoder.at_half.\1"),
        (rf"decoder\.deconv3_x{REST}", r"decoder.at_full.\1"),
        (rf"decoder\.deconv4_x\.0{REST}", r"decoder.alpha.\1"),
    ],
    optional=["discriminator"],  # another file of theirs, which training from here does not need
)
