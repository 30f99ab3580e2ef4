"""Benchmarks measure functions that there are; the one for GPUs checks itself on the CPU."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from deepmatte.batch import Matte
from deepmatte.config.places import conf_dir


def script(name: str) -> ModuleType:
    file = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


PHASES: dict[str, list[str]] = script("phases").PHASES


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_is_made_of_functions_of_today(phase: str) -> None:
    earlier = {"deepmatte.training.callbacks:PictureGrids.on_validation_end"}
    for place in {*PHASES[phase]} - earlier:
        module, _, name = place.partition(":")
        assert callable(attrgetter(name)(importlib.import_module(module))), place


def test_the_scores_of_jobs_are_compared_image_by_image() -> None:
    compared = script("phases").compared
    here = {(seed, name): ["1.5", "2.0"] for seed in (0, 1) for name in ("a", "b")}
    there = {**here, (1, "b"): ["1.5", "2.0000000000000004"]}
    assert compared({"before": here, "fork": dict(here)}) == (
        "scores of 4 images of all jobs: equal to the bit in all columns"
    )
    assert compared({"before": here, "own": here, "fork": there}) == (
        "scores of 4 images of all jobs: fork in 1 differ from those of before"
    )
    assert compared({"before": here, "fork": {}}).endswith("fork in 4 differ from those of before")
    assert compared({"before": {}, "fork": {}}) == "scores: none were written"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = script("gpu")
    monkeypatch.delitem(module.SETTINGS, module.COMPILED)  # takes minutes on a CPU
    return module


def test_a_network_that_breaks_is_a_line_and_the_others_are_measured(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def row(bench: object, name: str, setting: str):
        if name == "guided":
            raise KeyError("guide")
        return gpu.Row(name, setting, 1.0, 2.0, 3.0, 4.0, 0.0)

    monkeypatch.setattr(gpu.Bench, "row", row)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--cpu"])
    assert gpu.main() == 1
    first, *lines, last = capsys.readouterr().out.splitlines()
    models = {*(file.stem for file in (conf_dir() / "model").glob("*.yaml")), "vitmatte+checkpointing"}
    assert first.startswith("CPU")
    assert {line.split()[0] for line in lines} == models
    assert len(lines) == len(models) * len(gpu.SETTINGS)
    assert last == f"{len(lines)} measurements, {len(gpu.SETTINGS)} wrong"
    for line in lines:
        assert line.endswith("WRONG: KeyError: 'guide'" if line.startswith("guided") else " 0.0e+00")


@pytest.mark.slow
def test_the_script_for_gpus_trains_and_runs_networks_that_read_guides_and_plates(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models, file = ["bgmv2_small", "dim_small", "guided"], tmp_path / "rows.json"
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--cpu", "--seconds=1e9", "--json", str(file), *models])
    assert gpu.main() == 0
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert [(row["setting"], row["model"]) for row in rows] == [(s, m) for s in gpu.SETTINGS for m in models]
    for row in rows:
        assert not row["wrong"]
        assert row["samples_per_second"] > 0
        # On a CPU there is no TF32, and bfloat16 changes every network but one that starts as its guide.
        low = row["setting"] in ("bf16", "gpu") and row["model"] != "guided"
        assert (row["deviation"] > 0) == low


@pytest.mark.slow
def test_checkpointing_changes_neither_alpha_nor_loss_and_fsdp_s_row_takes_its_steps(gpu: ModuleType) -> None:
    bench = gpu.Bench(cpu=True)
    for name in ("vitmatte", "vitmatte+checkpointing"):
        row = bench.row(name, "fp32")
        assert (row.wrong, row.deviation) == ("", 0)
    assert len(bench.losses) == 1  # both are compared with the same one
    assert bench.sharded("dim_small", trainer="cpu").wrong == ""


def test_an_error_map_that_is_linear_in_the_true_error_correlates_fully() -> None:
    """A constant coarse matte: its error is that of the truth, known by hand, over blocks of 4 x 4 pixels."""
    rng = np.random.default_rng(0)
    blocks = rng.random((6, 8))
    truth = np.kron(blocks, np.ones((4, 4)))
    trimap = np.kron(np.where(np.arange(8) < 4, 128, 0) * np.ones((6, 1)), np.ones((4, 4))).astype(np.uint8)
    error = np.abs(0.5 - blocks)
    error[:, 4:] *= -1  # known zone: as wrong as can be
    planes = torch.full((1, 1, 6, 8), 0.5), torch.from_numpy(0.1 + 0.5 * error)[None, None]
    matte = Matte(torch.zeros(1, 1, 24, 32), coarse=Matte(planes[0], error=planes[1]))
    unknown, whole = script("plates").correlations(matte, truth, trimap)
    assert unknown == pytest.approx(1)
    assert whole == pytest.approx(np.corrcoef(error.ravel(), np.abs(0.5 - blocks).ravel())[0, 1])
