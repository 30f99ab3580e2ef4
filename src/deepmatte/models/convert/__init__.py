"""Weights of other implementations, as those of the networks here: one module a source, strict."""

from deepmatte.models.convert.alphagan import CDOTAD
from deepmatte.models.convert.bgmv2 import BGMV2
from deepmatte.models.convert.converter import Converter
from deepmatte.models.convert.dim import HUOCHAITIANTANG, MMAGIC
from deepmatte.models.convert.vitmatte import HUSTVL, TRANSFORMERS

CONVERTERS: dict[str, Converter] = {
    "alphagan": CDOTAD,
    "bgmv2": BGMV2,
    "dim_mmagic": MMAGIC,
    "dim_huochaitiantang": HUOCHAITIANTANG,
    "vitmatte": HUSTVL,
    "vitmatte_transformers": TRANSFORMERS,
}
"""The converters by the names that ``deepmatte convert`` takes."""

__all__ = ["CONVERTERS", "Converter"]
