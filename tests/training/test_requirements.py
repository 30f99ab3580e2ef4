"""A model that reads what the data do not have: one line before training, with key and cure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from deepmatte.errors import InputError
from deepmatte.models import BackgroundMattingV2, DeepImageMatting
from deepmatte.training.building.requirements import check_inputs
from deepmatte.training.score import conditions


def data(**served: tuple[str, ...]) -> Any:
    return SimpleNamespace(source=SimpleNamespace(name="cutouts"), serves=served.__getitem__)


def test_a_model_names_the_first_key_that_a_split_lacks_and_what_gives_it() -> None:
    plates, network = ("image", "captured_background"), BackgroundMattingV2(width=0.0625)
    check_inputs(network, data(train=plates), ["train"])
    with pytest.raises(InputError) as error:
        check_inputs(network, data(train=plates, test=("image", "trimap")), ["train", "test"])
    assert str(error.value) == (
        "model: BackgroundMattingV2 reads captured_background, which the test data of cutouts does not have; "
        "compose pictures with plates by composition.captured.plate=true, or give a data set that has them "
        "(data=captured data.root=DIR)"
    )
    with pytest.raises(InputError, match=r"reads trimap, .*; choose data that has it, or a model that reads"):
        check_inputs(DeepImageMatting(width=0.0625), data(val=plates), ["val"])


@pytest.mark.parametrize(("model", "recorded"), [(DeepImageMatting, True), (BackgroundMattingV2, None)])
def test_records_say_that_a_trimap_is_imposed_only_where_the_model_reads_one(
    model: Any, recorded: bool | None
) -> None:
    config = OmegaConf.create({"impose_trimap": True, "data": {}})
    assert conditions(config, model.reads)["impose_trimap"] is recorded
    config.impose_trimap = False
    assert conditions(config, model.reads)["impose_trimap"] is (None if recorded is None else False)
