"""The LightningDataModule: a source of pictures, a composition recipe and the loaders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from deepmatte.config.validation import GuideFolder, PictureFolder
from deepmatte.data import (
    BackgroundSet,
    Composition,
    CompositionDataset,
    CompositionSource,
    EvalSampler,
    FixedCompositionDataset,
    ForegroundSet,
    ImageDataset,
    ImageSource,
    MattingDataset,
    PictureCache,
    Source,
    Split,
    StreamSampler,
    collate,
)
from deepmatte.data.guides import GuideCache, GuidedDataset, Solver
from deepmatte.data.inspection.fingerprints import Fingerprint
from deepmatte.data.inspection.leaks import refuse_leaks, scored_apart
from deepmatte.data.parallel import context, end_with_parent
from deepmatte.errors import InputError, check_arguments
from deepmatte.models import MattingModel
from deepmatte.runs.interruption import shield_worker
from deepmatte.training.guides import solvers

_log = logging.getLogger(__name__)


class MattingData(pl.LightningDataModule):
    """Batches of ``source`` by ``composition``.

    Args:
        source: where pictures come from (`deepmatte.data.sources.protocols`).
        composition: how a training sample and an evaluation picture are made of them.
        seed: of the training stream; validation and test do not depend on it.
        batch_size: samples of one optimiser step, over all devices together.
        samples_per_epoch: length of a training epoch.
        backgrounds_per_foreground: composites that each split makes of a foreground, by split; 1 where it
            says nothing.
        num_workers: loader processes of each device.
        on_error: ``stop`` at a training sample whose files can't be used, or ``skip`` and count it, drawing
            another.
        fixed_stream: repeat the samples of epoch 0, to see whether a network can overfit them.
        cache: ``dir`` and ``max_gb`` of the folder in which decoded pictures are kept for training
            (`PictureCache`).
        guides: of models that read classical mattes: ``dir`` and ``max_gb`` of the folder in which those are
            kept (`GuideCache`), and ``crop``, the side of the part of a training sample that is seen.
    """

    def __init__(
        self,
        source: Source,
        composition: Composition,
        seed: int = 0,
        batch_size: int = 16,
        samples_per_epoch: int = 1024,
        backgrounds_per_foreground: Mapping[str, int] | None = None,
        num_workers: int = 0,
        fixed_stream: bool = False,
        on_error: Literal["stop", "skip"] = "stop",
        cache: Mapping[str, Any] | None = None,
        guides: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(num_workers, int) or num_workers < 0:
            raise InputError(f"data.num_workers={num_workers}: give a number of processes; 0 uses none")
        self.source, self.composition, self.seed = source, composition, seed
        self.batch_size, self.samples_per_epoch, self.num_workers = batch_size, samples_per_epoch, num_workers
        self.backgrounds_per_foreground = dict(backgrounds_per_foreground or {})
        self.fixed_stream, self.on_error = fixed_stream, on_error
        self.start = (0, 0)
        kept = {"max_gb": 0} if cache is None else dict(cache)
        solved = {"max_gb": 0, **(guides or {})}
        check_arguments(PictureFolder, kept, "data.cache")
        check_arguments(GuideFolder, solved, "data.guides")
        self.cache = PictureCache(**kept)
        self.guide_crop: int | None = solved.pop("crop", None)
        self.guide_cache = GuideCache(**solved)
        self.solvers: list[Solver] = []
        self._datasets: dict[str, MattingDataset[Any]] = {}
        self._kept: list[Any] = []
        self.trained_on: list[Fingerprint] = []

    def check(self, splits: Sequence[Split], world_size: int = 1) -> None:
        """Find what is wrong with the data before any work is done, and prepare them.

        Raises:
            InputError: something can't be used, or a matte to train on is in another split, too.
        """
        if hasattr(self.source, "prepare"):
            self.source.prepare(splits)
        for split in splits:
            _ = self.train_dataset() if split == "train" else self.eval_dataset(split)
        if "train" in splits:
            self._stream(0, world_size)
            self.cache.prepare(self._kept, skip=self.on_error == "skip")
            sets: dict[Any, list[Any]] = {
                split: [self.shown(split), *scored_apart(self.source, split)] for split in splits
            }
            self.trained_on = refuse_leaks(sets, self.source.name, skip=self.on_error == "skip")["train"]

    def guide_for(self, model: MattingModel, splits: Sequence[str] = ()) -> None:
        """Give the samples the guide that the model reads, if it reads one; solve those of ``splits`` now.

        Raises:
            InputError: there is no such method, or the cache can't be written to.
        """
        self.solvers = solvers(model.guides) if "guide" in model.reads else []
        if self.solvers and self.guide_crop is not None and self.composition.clips.frames > 1:
            text = "draws another part of each frame of a clip; set it to null, or composition.clip.frames=1"
            raise InputError(f"data.guides.crop={self.guide_crop}: {text}")
        jobs: list[tuple[MattingDataset[Any], Any]] = []
        for split in splits if self.solvers else ():
            if split != "train":
                evaluated = self.eval_dataset(split)
                jobs += [(evaluated, index) for index in range(len(evaluated))]
            elif self.fixed_stream:  # of an endless stream, each would be used once
                jobs += [(self.train_dataset(), (0, index)) for index in range(self.samples_per_epoch)]
        self.guide_cache.prepare(jobs, self.solvers)

    def _guided(self, dataset: MattingDataset[Any]) -> MattingDataset[Any]:
        if not self.solvers:
            return dataset
        return GuidedDataset(dataset, self.solvers, self.guide_cache, self.guide_crop, self.seed)

    def shown(self, split: str) -> Any:
        """Return the set of mattes that a split trains on or scores: foregrounds, or finished images."""
        dataset = self.train_dataset() if split == "train" else self.eval_dataset(split)
        return dataset.images if isinstance(dataset, ImageDataset) else dataset.foregrounds

    def serves(self, split: str) -> tuple[str, ...]:
        """Return the batch keys that the samples of a split have."""
        return self._guided(self.train_dataset() if split == "train" else self.eval_dataset(split)).serves

    def _layers(self, split: Split) -> tuple[ForegroundSet, BackgroundSet]:
        """Return foregrounds and backgrounds of a split; those read in every epoch come from the cache."""
        assert isinstance(self.source, CompositionSource)
        foregrounds, backgrounds = self.source.foregrounds(split), self.source.backgrounds(split)
        if split in ("train", "val"):
            foregrounds, backgrounds = (
                self.cache.keep(foregrounds, with_edges=True),
                self.cache.keep(backgrounds, with_edges=False),
            )
            self._kept += [foregrounds, backgrounds]
        return foregrounds, backgrounds

    def train_dataset(self) -> CompositionDataset:
        """Return the training samples, indexed by (epoch, index)."""
        if "train" not in self._datasets:
            if not isinstance(self.source, CompositionSource):
                raise InputError(
                    f"data={self.source.name}: has no foregrounds to train on, "
                    "only images to score; choose another"
                )
            self._datasets["train"] = CompositionDataset(
                *self._layers("train"),
                self.composition,
                self.seed,
                name=self.source.name,
                version=self.source.version,
                on_error=self.on_error,
                fixed=self.fixed_stream,
            )
        return self._datasets["train"]  # type: ignore[return-value]

    def eval_dataset(self, split: str) -> FixedCompositionDataset | ImageDataset:
        """Return the fixed pictures of ``split``: composites, or the source's photographs with trimaps."""
        if split not in self._datasets:
            identity: Any = {"name": self.source.name, "version": self.source.version, "split": split}
            images = self.source.images(identity["split"]) if isinstance(self.source, ImageSource) else None
            if images is not None:
                self._datasets[split] = ImageDataset(images, **identity)
            else:
                num = self.backgrounds_per_foreground.get(split, 1)
                layers = self._layers(identity["split"])
                self._datasets[split] = FixedCompositionDataset(
                    *layers, self.composition, **identity, backgrounds_per_foreground=num
                )
        return self._datasets[split]  # type: ignore[return-value]

    def wrap(self, split: str, around: Callable[[MattingDataset[Any]], MattingDataset[Any]]) -> None:
        """Wrap the dataset of an evaluation split, for work to be done in the loader processes."""
        self._datasets[split] = around(self.eval_dataset(split))

    def teardown(self, stage: str) -> None:
        """Say how many training samples were replaced because their files could not be used."""
        dataset = self._datasets.get("train")
        if stage == "fit" and isinstance(dataset, CompositionDataset) and dataset.num_skipped:
            _log.warning("%d training samples were replaced (data.on_error=skip)", dataset.num_skipped)

    def train_dataloader(self) -> DataLoader:
        """Return this process's share of each global batch, from where an interrupted epoch stopped."""
        sampler = self._stream(*self._rank_and_world_size())
        return self._loader(self.train_dataset(), sampler, sampler.share)

    def _stream(self, rank: int, world_size: int) -> StreamSampler:
        """Return the order of a process's training samples; InputError where batches can't be shared so."""
        stream = StreamSampler(self.samples_per_epoch, self.batch_size, rank, world_size, self.start)
        self.composition.clips.check(self.batch_size, world_size)
        return stream

    def val_dataloader(self) -> DataLoader:
        """Return this process's share of the validation pictures, one by one."""
        return self.eval_loader("val", *self._rank_and_world_size())

    def eval_loader(self, split: str, rank: int = 0, world_size: int = 1) -> DataLoader:
        """Return the share of the pictures of ``split`` that the process ``rank`` scores, one by one."""
        dataset = self.eval_dataset(split)
        return self._loader(dataset, EvalSampler(len(dataset), rank, world_size), 1)

    def _rank_and_world_size(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def state_dict(self) -> dict[str, int]:
        """Return the position in the stream of training samples, for a checkpoint."""
        if self.trainer is None:
            return {"epoch": 0, "batch": 0}
        # Counted when a step is over: the callbacks that may write a checkpoint come before the batch counts
        # as completed.
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.processed  # type: ignore[attr-defined]
        over = done >= self.samples_per_epoch // self.batch_size
        return {"epoch": self.trainer.current_epoch + int(over), "batch": 0 if over else done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue the stream where a checkpoint stopped, also in the middle of an epoch."""
        self.start = state["epoch"], state["batch"]

    def _loader(self, dataset: MattingDataset[Any], sampler: Any, batch_size: int) -> DataLoader:
        return DataLoader(
            self._guided(dataset),
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_start_worker,
            multiprocessing_context=context() if self.num_workers else None,
        )


def _start_worker(worker: int) -> None:
    """Begin a loader process: it ends with the trainer, but not by a signal to all of its group."""
    shield_worker(worker)
    end_with_parent()
