"""Starting from weights: what is taken over, what is refused in one line, and what identifies the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_run import compose
from torch import nn

from deepmatte.config.validation import check_own_keys
from deepmatte.errors import InputError
from deepmatte.models import DeepImageMatting
from deepmatte.models.weights import read_weights, take_over, write_weights
from deepmatte.runs.directory import RunDir
from deepmatte.runs.identity import config_hash


def network(seed: int, width: float = 1 / 16, **options) -> DeepImageMatting:
    torch.manual_seed(seed)
    return DeepImageMatting(width=width, **options)


def checkpoint_of(model: nn.Module) -> dict:
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    return {"state_dict": state | {"losses.calibration": torch.zeros(1)}, "deepmatte": {"stage": "joint"}}


def test_every_kind_of_file_gives_the_same_network(tmp_path: Path) -> None:
    source = network(1)
    torch.save(checkpoint_of(source), tmp_path / "run.ckpt")
    torch.save(source.state_dict(), tmp_path / "plain.pth")
    torch.save({f"module.{n}": v for n, v in source.state_dict().items()}, tmp_path / "parallel.pth")
    write_weights(tmp_path / "w.safetensors", source.state_dict(), {"from": "a test"})
    for file in ("run.ckpt", "plain.pth", "parallel.pth", "w.safetensors"):
        model = network(2)
        loaded = take_over(model, read_weights(tmp_path / file), file)
        assert not loaded.left
        assert loaded.parameters == sum(value.numel() for value in source.state_dict().values())
        for name, value in source.state_dict().items():
            assert torch.equal(model.state_dict()[name], value), (file, name)


def test_weights_of_another_model_or_width_are_refused_by_their_first_difference() -> None:
    state = network(0).state_dict()
    first = r"^init=x: encoder_decoder\.encoder\.blocks\.0"
    for other, message in (
        (network(0, width=1 / 8), rf"{first}\.0\.weight is 4x4x3x3 there, 8x4x3x3 here; give"),
        (network(0, norm="group"), rf"{first}\.1\.weight is missing there; give the model"),
    ):
        before = {name: value.clone() for name, value in other.state_dict().items()}
        with pytest.raises(InputError, match=message):
            take_over(other, state, "x")
        assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_what_is_ignored_may_differ_and_the_report_says_why() -> None:
    source, model = network(1), network(2)
    state = dict(source.state_dict())
    state["refiner.convs.0.weight"] = torch.zeros(1, 4, 3, 3)
    del state["refiner.convs.2.bias"]
    state["decoder.extra"] = torch.zeros(2)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    loaded = take_over(model, state, "x", ["refiner", "*.extra"])
    assert loaded.left == {
        "refiner.convs.0.weight": "is 1x4x3x3 there, 4x4x3x3 here",
        "refiner.convs.2.bias": "is missing there",
        "decoder.extra": "has no place here",
    }
    for name, value in model.state_dict().items():
        assert torch.equal(value, own[name] if name in loaded.left else state[name]), name
    assert loaded.lines("x")[0].startswith(f"init      {len(own) - 2} entries (")
    assert any("refiner.convs.0.weight: is 1x4x3x3 there" in line for line in loaded.lines("x"))
    with pytest.raises(InputError, match=r"^init_ignore=refinr: names no entry of the model or of x"):
        take_over(model, state, "x", ["refinr"])


def test_the_content_of_the_file_identifies_the_run_and_its_path_does_not(tmp_path: Path) -> None:
    plain = config_hash(compose("train", []))
    files = [tmp_path / name for name in ("a.safetensors", "b.safetensors", "c.safetensors")]
    for seed, file in zip((1, 1, 2), files, strict=True):
        write_weights(file, network(seed).state_dict(), {})
    hashes = [config_hash(compose("train", [f"init={file}"])) for file in files]
    assert hashes[0] == hashes[1]
    assert len({plain, hashes[0], hashes[2]}) == 3
    config = compose("train", [f"init={files[0]}"])
    run = RunDir(tmp_path / "run")
    run.write_config(config, [])
    files[0].unlink()
    assert config_hash(run.config()) == hashes[0]  # also when the file is gone
    assert config_hash(compose("train", ["init_ignore=[refiner]"])) != plain


def test_a_file_that_is_not_there_is_named_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"init=nowhere: there is no such run directory or file"):
        check_own_keys(compose("train", ["init=nowhere"]))
    with pytest.raises(InputError, match=r"has no checkpoints/best\.ckpt; give a run that was trained"):
        check_own_keys(compose("train", [f"init={tmp_path}"]))


def test_a_run_starts_from_the_best_weights_of_another(tiny, tmp_path: Path) -> None:
    from deepmatte.training.run import _Job

    source = network(3, norm="batch", skips=True)
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    best.parent.mkdir(parents=True)
    torch.save(checkpoint_of(source), best)
    config = compose("train", tiny(f"init={tmp_path / 'run'}"))
    job = _Job(config, RunDir(tmp_path / "new"))
    for name, value in source.state_dict().items():
        assert torch.equal(job.model.state_dict()[name], value), name
    planned = RunDir(tmp_path / "planned")
    planned.write_config(config, [])  # as a sweep plans its jobs
    torch.save(checkpoint_of(network(4, norm="batch", skips=True)), best)
    with pytest.raises(InputError, match=r"has changed since the run was planned"):
        _Job(planned.config(), RunDir(tmp_path / "new"))
