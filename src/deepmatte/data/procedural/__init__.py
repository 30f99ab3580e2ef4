"""The embedded matting benchmark, version 1.0: drawn foregrounds over photographs that pip has installed and drawn scenes.

*What it is.* Foregrounds of eleven kinds with exact alpha and exact colours: hair, fur, feather, net, lace,
glass, veil, smoke, foliage, and objects out of focus or in motion. By default 96 to train on, 16 to choose a
checkpoint by and 32 to test on, 512 x 512 pixels each, with as many backgrounds; the splits share neither
foregrounds, nor photographs, nor scenes. Nothing is downloaded.

*How alpha is exact.* A strand's or a leaf's coverage of a pixel is the exact area of their intersection
(`raster`), also for a hair a third of a pixel wide; shapes that overlap are joined by the "over" operator.
Glass, veils and smoke are absorption laws evaluated at the pixel's centre. Lens, defocus and motion are
convolutions of alpha and of alpha x colour alike, so the matting equation holds as it does in a camera. Alpha
and colours are then rounded to 8 bits, and composites are made from the rounded values: for them alpha is the
truth without error. Colours are defined where alpha is 0 too, so that resizing brings no dark fringe. Glass
does not refract.

*Difficulty.* Three foregrounds in ten wear the colours of the background of the same number, which the fixed
test composites put them over; palettes are those of natural things; every kind of foreground meets
photographs and drawn scenes.

*Reproducible.* A sample is a function of (version, seed, split, index, size). `CHECKSUMS` holds the digests
of the default splits; the first 16 foregrounds and backgrounds of val and test were equal, bit for bit, with
1 and 2 threads and with the vector units of NumPy, OpenBLAS, OpenCV and Numba switched on and off (x86-64;
other processors were not tried).

*Licence.* Everything drawn is covered by deepmatte's own MIT licence. For the photographs see `photographs`.
"""

from deepmatte.data.procedural.names import CHECKSUMS, VERSION
from deepmatte.data.procedural.source import BackgroundSet, ForegroundSet, ProceduralData

__all__ = ["CHECKSUMS", "VERSION", "BackgroundSet", "ForegroundSet", "ProceduralData"]
