"""Weights that come with the package: half precision in the file, and what says which network they are of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from deepmatte.errors import InputError
from deepmatte.models.shipped import FOLDER, Shipped, read_shipped, shipped, write_shipped
from deepmatte.models.weights import write_weights


def network() -> Shipped:
    state = {
        "layer.weight": torch.tensor([1.0, 1 / 3, -2e-6, 300.0]),
        "norm.num_batches_tracked": torch.tensor(70000),
    }
    return Shipped({"_target_": "deepmatte.models.GuidedMatting", "levels": 2}, False, True, state)


def test_a_file_holds_half_of_the_bits_and_gives_back_the_network(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    write_shipped(file, network(), {"seed": "3"})
    found = read_shipped(file)
    assert found[:3] == network()[:3]
    weight = found.state["layer.weight"]
    assert weight.dtype == torch.float32
    # IEEE half precision has eleven significant bits.
    torch.testing.assert_close(weight, network().state["layer.weight"], rtol=2**-11, atol=2**-25)
    assert weight.tolist() == [1.0, 0.333251953125, -2.0265579223632812e-06, 300.0]
    assert found.state["norm.num_batches_tracked"] == 70000


def test_files_of_others_and_damaged_ones_are_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    for about in ({}, {"deepmatte": "{"}, {"deepmatte": '{"model": 3}'}):
        write_weights(file, {"x": torch.zeros(1)}, about)
        with pytest.raises(InputError, match=r"mine\.safetensors: does not say what network"):
            read_shipped(file)
    write_shipped(file, network(), {})
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"mine\.safetensors: not readable as weights"):
        read_shipped(file)


def test_what_comes_with_the_package_is_small_and_of_networks_of_the_package() -> None:
    for name, file in shipped().items():
        assert file.parent == FOLDER
        assert file.stat().st_size <= 6e6, name
        assert read_shipped(file).model["_target_"].startswith("deepmatte.models.")
