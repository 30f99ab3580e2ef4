"""Records of strangers: a key of another kind is named in one line, and links lead nowhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated_runs import write_run

from deepmatte.errors import InputError
from deepmatte.runs.directory import RunDir
from deepmatte.runs.locks import acquire
from deepmatte.sweeps import sweep_file
from deepmatte.sweeps.status import read_sweep

RESULTS: dict[str, Any] = {
    "status": [],
    "overrides": [3],
    "scores": {"test/sad": "low"},
    "cost": {"seconds": None},
    "dataset": ["procedural"],
    "seed": "0",
    "error": {"a": 1},
    "fingerprint": {"code": {}},
    "trimap": "wide",
    "notes": [1],
    "metrics_version": [],
}
SWEEPS: dict[str, Any] = {
    "jobs": [{"run": 3, "overrides": []}],
    "process": {"host": "a"},
    "objective": 3,
    "started": "yesterday",
    "num_trials": "many",
    "shared": [["a"]],
}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(write_run(tmp_path / "sweep/run", ["loss=alpha"], 0, np.linspace(1, 2, 8)))


@pytest.mark.parametrize("key", RESULTS)
def test_a_key_of_another_kind_is_named_in_one_line(run: RunDir, key: str) -> None:
    file = run.path / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: RESULTS[key]}))
    with pytest.raises(InputError, match=rf"^[^\n]*result\.json: {key}[^\n]*; delete the run directory"):
        run.result()
    (job,) = read_sweep(run.path.parent).jobs
    assert job.state == "damaged"


@pytest.mark.parametrize("key", SWEEPS)
def test_a_key_of_a_sweep_of_another_kind_is_named_in_one_line(run: RunDir, key: str) -> None:
    (run.path.parent / "sweep.json").write_text(json.dumps({key: SWEEPS[key]}))
    with pytest.raises(InputError, match=r"^[^\n]*sweep\.json: [^\n]*; delete it, the runs are kept$"):
        sweep_file.read(run.path.parent)


@pytest.mark.parametrize("key", ["scores", "cost", "overrides", "stages_done", "notes"])
def test_what_readers_rely_on_is_never_null(run: RunDir, key: str) -> None:
    file = run.path / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: None}))
    with pytest.raises(InputError, match=rf"^[^\n]*result\.json: {key}=None: has to be"):
        run.result()
    assert [job.state for job in read_sweep(run.path.parent).jobs] == ["damaged"]


@pytest.mark.parametrize("text", ["'-1'", "x", '"a: &a [x]\\nb: [*a, *a]"', "'[[1]]'", "!!int 3"])
def test_one_value_is_no_configuration(run: RunDir, text: str) -> None:
    """OmegaConf reads such a text as YAML again, with aliases of which the first reading knows nothing."""
    for name in ("config", "overrides"):
        (run.path / f".hydra/{name}.yaml").write_text(text)
    for read in (run.config, run.overrides):
        with pytest.raises(InputError, match=r"^[^\n]*\.yaml: not readable as YAML \(holds one value"):
            read()


def test_progress_that_is_something_else_is_none(run: RunDir) -> None:
    for text in ("[]", "3", '{"fraction": "half"}', '{"cost": []}', '{"cost": null}', "[" * 5000):
        (run.path / "progress.json").write_text(text)
        assert run.progress() == {}


@pytest.mark.parametrize(
    "name",
    [".lock", "result.json", "output.log", "evaluations", "pictures/test", "wandb", ".hydra/config.yaml"],
)
def test_links_out_of_a_run_directory_are_refused_before_anything_is_written(run: RunDir, name: str) -> None:
    victim = run.path.parents[1] / "victim"
    victim.mkdir()
    (victim / "keys").write_text("mine")
    place = run.path / name
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(victim / "keys" if "." in name else victim)
    with pytest.raises(InputError, match=rf"^[^\n]*/{name}: is a link out of the run directory"):
        run.resumed("offline")
    assert [file.read_text() for file in victim.iterdir()] == ["mine"]


def test_links_that_lead_to_themselves_are_refused_those_inside_and_checkpoints_are_not(
    run: RunDir,
) -> None:
    (run.path / "latest").symlink_to(run.path / "per_image.csv")
    (run.path.parent / "stored.ckpt").touch()
    run.checkpoints.mkdir()
    (run.checkpoints / "best.ckpt").symlink_to(run.path.parent / "stored.ckpt")
    logs = run.path / "wandb" / "offline-run-20261130_093000-0123abcd" / "logs"
    logs.mkdir(parents=True)
    (logs / "debug-core.log").symlink_to(run.path.parent / "a cache" / "core-debug.log")  # as W&B makes it
    run.check_links()
    (logs / "more").symlink_to(run.path.parent)
    with pytest.raises(InputError, match=r"logs/more: is a link"):
        run.check_links()
    (logs / "more").unlink()
    (logs / "debug.log").symlink_to(run.path.parent / "stored.ckpt")
    with pytest.raises(InputError, match=r"logs/debug\.log: is a link"):
        run.check_links()
    (logs / "debug.log").unlink()
    (run.path / "loop").symlink_to(run.path / "loop")
    with pytest.raises(InputError, match=r"/loop: is a link"):
        run.check_links()


def test_a_lock_that_is_a_link_is_refused_and_empties_nothing(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("mine")
    (tmp_path / ".lock").symlink_to(tmp_path / "keys")
    with pytest.raises(InputError, match=r"\.lock: can't be written"):
        acquire(tmp_path)
    assert (tmp_path / "keys").read_text() == "mine"
