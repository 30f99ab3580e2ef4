"""The embedded matting benchmark, version 1.0: drawn foregrounds over photographs and drawn scenes.

*Content.* Foregrounds of eleven kinds with exact alpha and exact colours: hair, fur, feather, net, lace,
glass, veil, smoke, foliage, and objects out of focus or in motion. By default 96 for training, 16 for
validation and 32 for testing, 512 x 512 pixels each, with as many backgrounds. The splits share no
foregrounds, photographs or scenes. The photographs come with scikit-image and scikit-learn; nothing is
downloaded.

*Exact alpha.* The coverage of a pixel by a strand or leaf is the exact area of their intersection (`raster`),
even for a hair a third of a pixel wide; overlapping shapes are joined by the "over" operator. Glass, veils
and smoke are absorption laws evaluated at the pixel centre. Lens blur, defocus and motion are convolutions of
both alpha and alpha x colour, so the matting equation holds as in a camera. Alpha and colours are then
rounded to 8 bits and composites are made from the rounded values, so alpha is exact for them. Colours are
defined where alpha is 0 as well, so resizing causes no dark fringes. Glass does not refract.

*Difficulty.* Three foregrounds in ten take their colours from the background of the same number, with which
the fixed test composites pair them; palettes are natural; every kind of foreground meets photographs and
drawn scenes.

*Reproducibility.* A sample is a function of (version, seed, split, index, size). `CHECKSUMS` holds the
digests of the default splits. The first 16 foregrounds and backgrounds of val and test were bit-equal for 1
and 2 threads and with the vector instructions of NumPy, OpenBLAS, OpenCV and Numba enabled and disabled (on
x86-64; other processors were not tried).

*Licence.* Everything drawn is covered by deepmatte's MIT licence; for the photographs see `photographs`.
"""

from deepmatte.data.procedural.names import CHECKSUMS, VERSION
from deepmatte.data.procedural.source import BackgroundSet, ForegroundSet, ProceduralData

__all__ = ["CHECKSUMS", "VERSION", "BackgroundSet", "ForegroundSet", "ProceduralData"]
