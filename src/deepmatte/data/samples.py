"""Samples: what a dataset returns, how errors in them stay one line, and how they are joined into a batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, cast

import torch
from torch.utils.data import Dataset, default_collate

from deepmatte.batch import Batch
from deepmatte.data.sources.protocols import Split
from deepmatte.errors import InputError

Sample = dict[str, Any]
Key = TypeVar("Key")


class SampleError(InputError):
    """An `InputError` while a sample was read, whose message stays one line on its way out of a worker.

    The loader rebuilds a worker's exception with the whole traceback as its text; the last line of it is the
    message.
    """

    def __init__(self, message: str) -> None:
        super().__init__(
            message.strip()
            .rsplit("\n", 1)[-1]
            .removeprefix(f"{type(self).__module__}.{type(self).__qualname__}: ")
        )


class MattingDataset(Dataset[Sample], Generic[Key]):
    """What the datasets share: identity for results, one record for each sample, and errors of one line.

    ``serves`` are the batch keys of their samples.
    """

    serves: tuple[str, ...] = ("image", "alpha", "trimap", "name", "index")

    def __init__(self, name: str, version: str, split: Split) -> None:
        self.name, self.version, self.split = name, version, split

    def make(self, key: Key) -> Sample:
        """Return the sample of a key."""
        raise NotImplementedError

    def __getitem__(self, key: Key) -> Sample:
        try:
            return self.make(key)
        except InputError as error:
            raise SampleError(str(error)) from error

    def digest(self) -> str:
        """Return a SHA-256 (64 hex digits) of name, version, split and `identity`.

        It is the same on every machine.

        Files enter it by name and length, not by content, so that it takes no time.
        """
        identity = {"name": self.name, "version": self.version, "split": self.split, **self.identity()}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def identity(self) -> dict[str, Any]:
        """Return what else makes the samples what they are."""
        raise NotImplementedError


class DerivedDataset(MattingDataset[Key]):
    """The samples of ``dataset`` with something more that is computed of them; a subclass makes them.

    What identifies and describes them stays that of ``dataset``.
    """

    def __init__(self, dataset: MattingDataset[Key]) -> None:
        super().__init__(dataset.name, dataset.version, dataset.split)
        self.dataset, self.serves = dataset, dataset.serves

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def record(self, index: int) -> dict[str, str]:
        """Return the names by which results list the sample."""
        return self.dataset.record(index)  # type: ignore[attr-defined]

    def identity(self) -> dict[str, Any]:
        """Return what identifies the samples of ``dataset``."""
        return self.dataset.identity()


def collate(samples: Sequence[Sample]) -> Batch:
    """Join samples of one size into a batch: tensors are stacked, names listed, indices an int64 tensor.

    ``previous``, the index of the frame before, becomes its row; -1 where there is none in the batch.

    Where ``image`` is ``composite`` in all samples, it is in the batch: one tensor under two names, which
    nothing may write into.
    """
    same = all("composite" in sample and sample["image"] is sample["composite"] for sample in samples)
    keys = [key for key in samples[0] if not (same and key == "composite")]
    # PyTorch's own function stacks straight into the memory that a worker shares with the training process.
    batch = {key: default_collate([sample[key] for sample in samples]) for key in keys}
    if "previous" in batch:
        rows = {sample["index"]: row for row, sample in enumerate(samples)}
        batch["previous"] = torch.tensor([rows.get(sample["previous"], -1) for sample in samples])
    return cast(Batch, {**batch, "composite": batch["image"]} if same else batch)
