"""Data: sources of layers or finished images, the recipe that composes samples, datasets and samplers.

The way is source -> dataset (with a `Composition`) -> sampler and `collate` -> `deepmatte.batch.Batch`. A source is named by a file in
``conf/data/``; a new one needs no more than the methods of a protocol in `deepmatte.data.sources`.
"""

import cv2

from deepmatte.data.composition import Composition
from deepmatte.data.datasets import (
    CompositionDataset,
    FixedCompositionDataset,
    ImageDataset,
    MattingDataset,
    SampleError,
    collate,
)
from deepmatte.data.folder import FolderData
from deepmatte.data.images import read_alpha, read_cutout, read_image, read_trimap, write_png
from deepmatte.data.keeping import PictureCache
from deepmatte.data.mixture import Mixture
from deepmatte.data.samplers import EvalSampler, StreamSampler
from deepmatte.data.sources import BackgroundSet, CompositionSource, ForegroundSet, ImageSet, ImageSource, Source, Split

__all__ = [
    "BackgroundSet",
    "Composition",
    "CompositionDataset",
    "CompositionSource",
    "EvalSampler",
    "FixedCompositionDataset",
    "FolderData",
    "ForegroundSet",
    "ImageDataset",
    "ImageSet",
    "ImageSource",
    "MattingDataset",
    "Mixture",
    "PictureCache",
    "SampleError",
    "Source",
    "Split",
    "StreamSampler",
    "collate",
    "read_alpha",
    "read_cutout",
    "read_image",
    "read_trimap",
    "write_png",
]

# OpenCV's threads don't survive the fork that makes a loader's workers: the first call that wants them would hang there for ever.
# Samples are made in parallel by workers, not by threads.
cv2.setNumThreads(1)
