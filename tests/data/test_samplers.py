from itertools import chain

import pytest
from torch.utils.data import BatchSampler

from deepmatte.data.samplers import EvalSampler, StreamSampler
from deepmatte.errors import InputError


def global_batches(samples: int, batch_size: int, world_size: int, epoch: int, **options):
    """The batches of all processes, joined in the order of their ranks."""
    ranks = []
    for rank in range(world_size):
        sampler = StreamSampler(samples, batch_size, rank, world_size, **options)
        sampler.set_epoch(epoch)
        share = batch_size // world_size
        ranks.append(list(BatchSampler(sampler, share, drop_last=True)))
        assert len(sampler) == share * len(ranks[-1])
    return [list(chain.from_iterable(parts)) for parts in zip(*ranks, strict=True)]


@pytest.mark.parametrize("world_size", [1, 2, 3, 6])
def test_batches_of_all_processes_join_to_those_of_one(world_size):
    expected = [[(5, 12 * batch + i) for i in range(12)] for batch in range(3)]
    assert global_batches(40, 12, world_size, epoch=5) == expected


def test_interrupted_epoch_goes_on_with_its_next_batch_and_later_ones_are_whole():
    sampler = StreamSampler(12, 4, 1, 2, start=(3, 2))
    assert next(iter(sampler)) == (3, 10), (
        "workers that read ahead of set_epoch get the epoch of the checkpoint"
    )
    sampler.set_epoch(3)
    assert list(sampler) == [(3, 10), (3, 11)]
    sampler.set_epoch(4)
    assert list(sampler) == [(4, index) for index in (2, 3, 6, 7, 10, 11)]


def test_epoch_starts_at_zero_and_repeats_until_it_is_set():
    sampler = StreamSampler(4, 2)
    assert list(sampler) == list(sampler) == [(0, 0), (0, 1), (0, 2), (0, 3)]


def test_batches_that_do_not_divide_or_fill_are_refused_by_their_key():
    with pytest.raises(InputError, match=r"^data\.batch_size=7: .*2"):
        StreamSampler(100, 7, 0, 2)
    with pytest.raises(InputError, match=r"^data\.batch_size=0"):
        StreamSampler(100, 0)
    with pytest.raises(InputError, match=r"^data\.samples_per_epoch=3: .*data\.batch_size=4"):
        StreamSampler(3, 4)


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("num", [1, 5, 6])
def test_every_image_is_scored_exactly_once(num, world_size):
    parts = [list(EvalSampler(num, rank, world_size)) for rank in range(world_size)]
    assert sorted(chain.from_iterable(parts)) == list(range(num))
    assert [len(EvalSampler(num, rank, world_size)) for rank in range(world_size)] == [
        len(part) for part in parts
    ]
