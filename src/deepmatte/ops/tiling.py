"""Apply a function tile by tile and blend the results: large pictures in the memory of small ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def tiled(
    function: Callable[..., Tensor], *pictures: Tensor, tile: int, overlap: int, multiple: int = 32
) -> Tensor:
    """Return ``function(*pictures)``, computed on overlapping squares.

    Pictures are (N, C, H, W) of one height and width, and the function keeps both. Within an overlap the
    outer quarters belong to one tile alone, and the half between them is blended linearly. So the result
    equals that for the whole picture if no output depends on inputs more than a quarter of the overlap away,
    to the bit if the tiles' results do: a mean of equal values is kept as it is. A function with a larger
    receptive field loses what is outside its tile: its result differs, but without seams.

    Beside pictures and result the memory is that of one tile.

    Args:
        function: maps tiles to a tile.
        pictures: its arguments.
        tile: side of a square in pixels.
        overlap: minimum overlap of neighbouring squares in pixels; less than ``tile``.
        multiple: tiles start at its multiples, so that a network that pools has the same grid as on the whole
            picture.

    >>> picture = torch.rand(1, 1, 50, 70)
    >>> torch.equal(tiled(torch.sqrt, picture, tile=32, overlap=8, multiple=4), picture.sqrt())
    True
    """
    if not 0 <= overlap < tile or tile % multiple or overlap % multiple:
        sizes = f"tile {tile} and overlap {overlap}"
        raise ValueError(f"{sizes}: expected multiples of {multiple}, with the overlap below the tile")
    height, width = pictures[0].shape[-2:]
    mean = weights = torch.zeros(())
    for top in starts(height, tile, overlap, multiple):
        for left in starts(width, tile, overlap, multiple):
            rows, columns = slice(top, top + tile), slice(left, left + tile)
            result = function(*(picture[..., rows, columns] for picture in pictures))
            if mean.ndim == 0:
                mean = result.new_zeros((*result.shape[:-2], height, width))
                weights = result.new_zeros((height, width))
            down = ramp(top, result.shape[-2], height, overlap).to(result)
            across = ramp(left, result.shape[-1], width, overlap).to(result)
            weight = down[:, None] * across
            weights[rows, columns] += weight
            # The running mean: a tile's share is 1 where it is the first, and 0 where it has no weight.
            share = weight / weights[rows, columns].clamp_min(torch.finfo(weight.dtype).tiny)
            here = mean[..., rows, columns]
            mean[..., rows, columns] = here + share * (result - here)
    return mean


def starts(length: int, tile: int, overlap: int, multiple: int) -> list[int]:
    """Return where tiles begin along a side; the last may be shorter by less than ``multiple``.

    >>> starts(100, tile=64, overlap=32, multiple=32), starts(150, 64, 32, 32), starts(40, 64, 32, 32)
    ([0, 32, 64], [0, 32, 64, 96], [0])
    """
    if length <= tile:
        return [0]
    last = -(-(length - tile) // multiple) * multiple
    return [*range(0, last, tile - overlap), last]


def borders(length: int, tile: int, overlap: int, multiple: int) -> list[int]:
    """Return the lines along a side on which a tile begins or ends, but for the picture's own ends.

    >>> borders(150, tile=64, overlap=32, multiple=32)
    [32, 64, 96, 128]
    """
    begins = starts(length, tile, overlap, multiple)
    return sorted({line for begin in begins for line in (begin, begin + tile) if 0 < line < length})


def ramp(start: int, length: int, whole: int, overlap: int) -> Tensor:
    """Return the weights (length,) of a tile along a side of ``whole`` pixels: 1 inside, 0 at cut ends.

    >>> ramp(0, 12, whole=20, overlap=8)
    tensor([1.0000, 1.0000, 1.0000, 1.0000, 1.0000, 1.0000, 0.8750, 0.6250, 0.3750,
            0.1250, 0.0000, 0.0000])
    """
    position = torch.arange(length) + 0.5
    rise = torch.ones(length) if start == 0 else (position - overlap / 4) / max(overlap / 2, 0.5)
    fall = (
        torch.ones(length)
        if start + length == whole
        else (length - position - overlap / 4) / max(overlap / 2, 0.5)
    )
    return torch.minimum(rise, fall).clamp(0, 1)
