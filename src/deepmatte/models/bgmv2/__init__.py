"""Background Matting V2 (Lin, Ryabtsev, Sengupta, Curless, Seitz, Kemelmacher-Shlizerman 2021).

It reads a photograph and a plate, a photograph of its background without the foreground, and no trimap: a
base finds the matte, the foreground's colours and where it errs at a fraction of the size, and a refiner
computes the matte again in those patches of the full size in which the expected error is largest.
"""

from deepmatte.models.bgmv2.network import BackgroundMattingV2

__all__ = ["BackgroundMattingV2"]
