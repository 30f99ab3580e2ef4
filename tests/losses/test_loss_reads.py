"""What terms read of a batch: declared, checked before training, named where it is missing."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from deepmatte.batch import example_batch
from deepmatte.config.build import loss_function
from deepmatte.errors import InputError
from deepmatte.losses import LOSSES, LossTable

sys.path.insert(0, str(Path(__file__).parent))
from whole_mattes import whole_matte

OWN = partial(loss_function, packages=["loss_own"])


def prediction(batch):
    return whole_matte((0.1 + 0.7 * batch["alpha"]).requires_grad_())


class FirstChannel(nn.Module):
    """Stands in for a discriminator."""

    def forward(self, colours, trimap):
        return colours[:, :1]


PHOTOGRAPHS = ("image", "alpha", "trimap", "name", "index")
"""What is known of photographs over their own backgrounds."""


class Recorded(dict):
    """A batch that remembers which of its keys were read."""

    def __init__(self, batch):
        super().__init__(batch)
        self.read = set()

    def __getitem__(self, key):
        self.read.add(key)
        return super().__getitem__(key)


@pytest.mark.parametrize("name", LOSSES)
def test_a_term_reads_what_it_declares_and_nothing_else(name):
    read = set()
    for options in ({}, {"edge_scale": 1.0}):  # the one option that makes a term read more
        if set(options) <= set(LOSSES[name].defaults):
            batch = Recorded(example_batch() | {"discriminator": FirstChannel()})
            LOSSES[name].function(prediction(example_batch()), batch, **options)
            read |= batch.read
    assert read == set(LOSSES[name].reads)


def test_data_without_layers_is_refused_before_training_by_terms_that_read_them():
    LossTable({"alpha": {"weight": 1}, "composition": {"weight": 0}}).check(PHOTOGRAPHS)
    for name, config in {
        "composition": {"alpha": {"weight": 1}, "composition": {"weight": 1}},
        "over": {"over": {"term": "composition", "weight": 1}},
        "mine": {"mine": {"term": "loss_own:colour_loss", "weight": 1, "scale": 2}},
    }.items():
        table = LossTable(config, OWN)
        table.check(example_batch())
        refusal = (
            rf"^loss\.{name} reads foreground.* which the training data does not have: set loss\.{name}\."
        )
        with pytest.raises(InputError, match=refusal):
            table.check(PHOTOGRAPHS)


def test_clips_are_asked_for_only_by_the_temporal_term_and_refused_where_there_are_none():
    table = LossTable({"alpha": {"weight": 1}, "temporal": {"weight": 5}})
    with pytest.raises(InputError, match=r"^loss\.temporal reads previous, which the training data does not"):
        table.check((*PHOTOGRAPHS, "foreground", "background", "composite"))


def test_ddc_needs_no_alpha():
    batch = example_batch()
    matte = prediction(batch)
    table = LossTable({"ddc": {"weight": 1}, "mine": {"term": "loss_own:hope_loss", "weight": 1}}, OWN)
    table.check(("image", "trimap"))
    del batch["alpha"]
    table(matte, batch).total.backward()
    assert matte.alpha.grad.any()


def test_a_table_fits_the_batches_that_it_can_be_computed_on():
    batch = example_batch()
    bare = {key: batch[key] for key in PHOTOGRAPHS}
    for config, computable in (
        ({"alpha": {"weight": 1}, "composition": {"weight": 0}}, True),
        ({"composition": {"weight": 1}}, False),
        ({"mine": {"term": "loss_own:square_loss", "weight": 1}}, True),
        ({"mine": {"term": "loss_own:colour_loss", "weight": 1, "scale": 2}}, False),
    ):
        table = LossTable(config, OWN)
        assert table.fits(batch)
        assert table.fits(bare) is computable
        assert torch.isfinite(table(prediction(batch), bare if computable else batch).total)


def test_a_key_that_an_own_term_reads_undeclared_is_named_where_it_is_missing():
    batch = example_batch()
    table = LossTable({"mine": {"term": "loss_own:undeclared_loss", "weight": 1}}, OWN)
    assert torch.isfinite(table(prediction(batch), batch).total)
    with pytest.raises(
        InputError,
        match=r"^loss\.mine reads foreground, which this batch does not have: set loss\.mine\.weight=0",
    ):
        table(prediction(batch), {key: batch[key] for key in PHOTOGRAPHS})
    with pytest.raises(KeyError, match="3"):  # a fault of the function itself keeps its traceback
        LossTable({"mine": {"term": "loss_own:faulty_loss", "weight": 1}}, OWN)(prediction(batch), batch)
