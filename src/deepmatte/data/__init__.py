"""Data: sources of layers or finished images, the recipe that composes samples, datasets and samplers.

Data flow: source -> dataset (with a `Composition`) -> sampler and `collate` -> `deepmatte.batch.Batch`. A
source is named by a file in ``conf/data/``; a new one needs only the methods of a protocol in
`deepmatte.data.sources.protocols`.

Names are imported on first use: reading files (`deepmatte score`) loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepmatte.data.cache.pictures import PictureCache as PictureCache
    from deepmatte.data.composing.composition import Composition as Composition
    from deepmatte.data.datasets import CompositionDataset as CompositionDataset
    from deepmatte.data.datasets import FixedCompositionDataset as FixedCompositionDataset
    from deepmatte.data.datasets import ImageDataset as ImageDataset
    from deepmatte.data.samplers import EvalSampler as EvalSampler
    from deepmatte.data.samplers import StreamSampler as StreamSampler
    from deepmatte.data.samples import MattingDataset as MattingDataset
    from deepmatte.data.samples import SampleError as SampleError
    from deepmatte.data.samples import collate as collate
    from deepmatte.data.sources.folder import FolderData as FolderData
    from deepmatte.data.sources.images import read_alpha as read_alpha
    from deepmatte.data.sources.images import read_cutout as read_cutout
    from deepmatte.data.sources.images import read_image as read_image
    from deepmatte.data.sources.images import read_trimap as read_trimap
    from deepmatte.data.sources.images import write_png as write_png
    from deepmatte.data.sources.mixture import Mixture as Mixture
    from deepmatte.data.sources.protocols import BackgroundSet as BackgroundSet
    from deepmatte.data.sources.protocols import CompositionSource as CompositionSource
    from deepmatte.data.sources.protocols import ForegroundSet as ForegroundSet
    from deepmatte.data.sources.protocols import ImageSet as ImageSet
    from deepmatte.data.sources.protocols import ImageSource as ImageSource
    from deepmatte.data.sources.protocols import Source as Source
    from deepmatte.data.sources.protocols import Split as Split

_HOMES = {
    "BackgroundSet": "deepmatte.data.sources.protocols",
    "Composition": "deepmatte.data.composing.composition",
    "CompositionDataset": "deepmatte.data.datasets",
    "CompositionSource": "deepmatte.data.sources.protocols",
    "EvalSampler": "deepmatte.data.samplers",
    "FixedCompositionDataset": "deepmatte.data.datasets",
    "FolderData": "deepmatte.data.sources.folder",
    "ForegroundSet": "deepmatte.data.sources.protocols",
    "ImageDataset": "deepmatte.data.datasets",
    "ImageSet": "deepmatte.data.sources.protocols",
    "ImageSource": "deepmatte.data.sources.protocols",
    "MattingDataset": "deepmatte.data.samples",
    "Mixture": "deepmatte.data.sources.mixture",
    "PictureCache": "deepmatte.data.cache.pictures",
    "SampleError": "deepmatte.data.samples",
    "Source": "deepmatte.data.sources.protocols",
    "Split": "deepmatte.data.sources.protocols",
    "StreamSampler": "deepmatte.data.samplers",
    "collate": "deepmatte.data.samples",
    "read_alpha": "deepmatte.data.sources.images",
    "read_cutout": "deepmatte.data.sources.images",
    "read_image": "deepmatte.data.sources.images",
    "read_trimap": "deepmatte.data.sources.images",
    "write_png": "deepmatte.data.sources.images",
}
"""The module of each public name."""

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
