"""Which samples each process reads, and in which order: the same stream for every number of processes."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from deepmatte.errors import InputError


class StreamSampler(Sampler[tuple[int, int]]):
    """Yields the keys (epoch, index) of a training epoch for one process.

    Global batch b consists of the samples b * batch_size … (b + 1) * batch_size - 1, and each process takes
    its contiguous share of it, so that the processes' batches joined are one process's batch. Samples that
    don't fill the last batch are never used: choose ``samples_per_epoch`` as a multiple.

    Args:
        samples_per_epoch: length of an epoch over all processes.
        batch_size: size of the global batch, over all processes.
        rank: number of this process.
        world_size: number of processes.
        start: (epoch, batch) at which a run resumes that was interrupted in the middle of that epoch.

    Raises:
        InputError: the batch does not divide among the processes, or an epoch does not fill one batch.
    """

    def __init__(
        self,
        samples_per_epoch: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        start: tuple[int, int] = (0, 0),
    ) -> None:
        if batch_size < 1 or batch_size % world_size:
            raise InputError(
                f"data.batch_size={batch_size}: "
                f"has to be a positive multiple of the number of processes, {world_size}"
            )
        if samples_per_epoch < batch_size:
            raise InputError(
                f"data.samples_per_epoch={samples_per_epoch}: "
                f"does not fill one batch of data.batch_size={batch_size}"
            )
        self.num_batches = samples_per_epoch // batch_size
        self.batch_size = batch_size
        self.share = batch_size // world_size
        self.rank = rank
        self.start = start
        self.epoch = start[0]  # a resumed loader's workers read ahead before Lightning sets the epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields; Lightning calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_batches * self.share

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.epoch
        first = self.start[1] if epoch == self.start[0] else 0
        for batch in range(first, self.num_batches):
            start = batch * self.batch_size + self.rank * self.share
            for index in range(start, start + self.share):
                yield epoch, index


def turn(seed: int, epoch: int, index: int, num: int) -> int:
    """Return which of ``num`` items sample ``index`` of an epoch is of, where they take turns.

    Each comes once in ``num`` samples, in an order that is theirs alone.

    >>> sorted(turn(0, 2, index, 3) for index in range(3, 6))
    [0, 1, 2]
    """
    number, place = divmod(index, num)
    return int(_order(seed, epoch, number, num)[place])


@functools.lru_cache(maxsize=4)
def _order(seed: int, epoch: int, number: int, num: int) -> np.ndarray:
    # The spawn key keeps these orders apart from the samples' generators, which are seeded by numbers alone.
    entropy = np.random.SeedSequence((seed, epoch, number), spawn_key=(1,))
    return np.random.default_rng(entropy).permutation(num)


class EvalSampler(Sampler[int]):
    """Yields every world_size-th index, from rank on: each image once, however many processes there are.

    >>> list(EvalSampler(5, rank=0, world_size=2)), list(EvalSampler(5, rank=1, world_size=2))
    ([0, 2, 4], [1, 3])
    """

    def __init__(self, num_samples: int, rank: int = 0, world_size: int = 1) -> None:
        self.indices = range(rank, num_samples, world_size)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)
