"""Any network on pictures of any size: tile by tile, in the memory of one tile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.errors import InputError
from deepmatte.models.base import MattingModel
from deepmatte.ops.tiling import tiled
from deepmatte.ops.zones import UNKNOWN, trivial_matte

GRID = 128
"""The side of tiles is a multiple of this, so that a quarter of it fits the strides of all networks here."""


class TiledModel(MattingModel):
    """A model that gives another one's matte, computed on overlapping squares that are blended.

    Beside the picture and the matte themselves, the memory is that of a tile. The network sees nothing beyond
    its tile: what it knows of a wider surrounding differs from tile to tile, and so from the matte of the
    whole picture, but goes over without a seam (`deepmatte.metrics.functional.seams`). A matte here has
    alpha, and colours of the foreground where the network gives them.

    Args:
        model: the network, on its device and in its mode.
        tile: side of the squares in pixels, a multiple of `GRID`; neighbours overlap by a quarter.
        skip_known: leave out tiles without unknown pixels: for mattes on which the trimap's known zones are
            imposed.

    Raises:
        InputError: there are no such tiles.
    """

    def __init__(self, model: MattingModel, tile: int, skip_known: bool = False) -> None:
        super().__init__()
        if tile < GRID or tile % GRID:
            raise InputError(f"tile={tile}: give 0, or a multiple of {GRID} pixels")
        self.model, self.tile = model, tile
        # What a class says of itself, an instance of this one says of its model.
        self.guides = model.guides
        vars(self).update(reads=model.reads, gives=tuple({"foreground"} & {*model.gives}))
        self.skip_known = skip_known and "trimap" in model.reads and not self.gives

    def forward(self, batch: Batch, refine: bool = True) -> Matte:
        """Return the matte of images of any size; ``refine=False`` stops at the coarse matte."""
        found = cast(Mapping[str, Any], batch)

        def planes_of(*pictures: Tensor) -> Tensor:
            part = cast(Batch, dict(zip(self.reads, pictures, strict=True)))
            if self.skip_known and not (part["trimap"] == UNKNOWN).any():
                return trivial_matte(part["trimap"]).to(part["image"].dtype)
            matte = self.model(part, refine=refine)
            return torch.cat([matte.alpha, *([matte.foreground] if matte.foreground is not None else [])], 1)

        pictures = [found[key] for key in self.reads]
        planes = tiled(planes_of, *pictures, tile=self.tile, overlap=self.tile // 4)
        return Matte(planes[:, :1], foreground=planes[:, 1:] if planes.shape[1] > 1 else None)
