"""ViTMatte as published by hustvl, and as Hugging Face's transformers has it."""

from __future__ import annotations

from collections.abc import Callable

from deepmatte.errors import InputError
from deepmatte.models.convert.converter import Converter
from deepmatte.models.vitmatte import SIZES
from deepmatte.models.weights import State

NO_COUNTERPART = (
    r"criterion\..*",  # buffers of their losses
    r"pixel_(mean|std)",  # those of ImageNet, which the model has itself
)


def _overrides(positions: str) -> Callable[[State], list[str]]:
    """Return what reads the size of the transformer from its absolute ``positions`` (1, 197, channels)."""

    def read(theirs: State) -> list[str]:
        if positions not in theirs:
            raise InputError(f"{positions}: is missing in the file; give one of ViTMatte")
        channels = theirs[positions].shape[-1]
        sizes = {of.dim: size for size, of in SIZES.items()}
        if channels not in sizes:
            known = ", ".join(f"{dim} ({size})" for dim, size in sizes.items())
            raise InputError(f"{positions}: has {channels} channels; the models have {known}")
        return ["model=vitmatte", f"model.size={sizes[channels]}"]

    return read


HUSTVL = Converter(
    source="ViTMatte of hustvl, whose names are those of the model here",
    overrides=_overrides("backbone.pos_embed"),
    names=[(r"((?:backbone|decoder)\..*)", r"\1")],
    left_out=NO_COUNTERPART,
)

TRANSFORMERS = Converter(
    source="ViTMatte of transformers (VitMatteForImageMatting)",
    overrides=_overrides("backbone.embeddings.position_embeddings"),
    names=[
        (r"backbone\.embeddings\.position_embeddings", "backbone.pos_embed"),
        (r"backbone\.embeddings\.projection\.(.*)", r"backbone.patch_embed.proj.\1"),
        (r"backbone\.encoder\.layer\.(\d+)\.attention\.(.*)", r"backbone.blocks.\1.attn.\2"),
        (r"backbone\.encoder\.layer\.(.*)", r"backbone.blocks.\1"),
        (r"decoder\.convstream\.(.*)\.batch_norm\.(.*)", r"decoder.convstream.\1.bn.\2"),
        (r"decoder\.fusion_blocks\.(.*)\.batch_norm\.(.*)", r"decoder.fusion_blks.\1.bn.\2"),
        (r"decoder\.fusion_blocks\.(.*)", r"decoder.fusion_blks.\1"),
        (r"(decoder\..*)", r"\1"),
    ],
    left_out=NO_COUNTERPART,
)
