"""Comparisons of what ``logger=mlflow`` has written to a store of MLflow's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from simulated_runs import write_run
from tiny_run import compose

from deepmatte.compare.comparison import compare
from deepmatte.compare.records.remote import local_paths
from deepmatte.errors import InputError
from deepmatte.runs.directory import RunDir


def test_a_source_without_its_parts_or_its_database_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(InputError, match=r"^mlflow:my_sweep: not of the form mlflow:URI/EXPERIMENT"):
        local_paths(["mlflow:my_sweep"])
    pytest.importorskip("mlflow", reason="needs deepmatte[mlflow]")
    with pytest.raises(InputError, match=r"there is no database sqlite:///nowhere\.db; check its path"):
        local_paths(["mlflow:sqlite:///nowhere.db/my_sweep"])
    assert not Path("nowhere.db").exists()


def test_an_experiment_of_mlflow_compares_as_its_run_directories_do(tmp_path: Path) -> None:
    """Logged by our logger, read back through MLflow; a failed run is listed as excluded."""
    mlflow = pytest.importorskip("mlflow", reason="needs deepmatte[mlflow]")
    from deepmatte.training.building import from_config
    from deepmatte.training.tracking.tracker import Tracker

    rng = np.random.default_rng(0)
    sweep = tmp_path / "runs" / "s"
    for loss, effect in (("alpha", 5.0), ("dice", 9.0)):
        for seed in (0, 1):
            scores = effect + rng.normal(0, 0.3, 12)
            run = RunDir(write_run(sweep / f"{loss}{seed}", [f"loss={loss}"], seed, scores))
            config = compose("train", ["logger=mlflow", "name=s", f"loss={loss}", f"seed={seed}"])
            loggers = Tracker(from_config.build_loggers(config), config, run)
            loggers.finish(json.loads((run.path / "result.json").read_text()), [])
    failed = RunDir(tmp_path / "runs" / "s" / "late")
    config = compose("train", ["logger=mlflow", "name=s", "seed=9"])
    Tracker(from_config.build_loggers(config), config, failed).fail()
    store = f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}"
    (fetched,) = local_paths([f"mlflow:{store}/s"], cache=tmp_path / "cache")
    ours, theirs = compare([sweep]), compare([fetched])
    assert len(theirs.runs) == 4
    assert [(item.status, item.reason) for item in theirs.excluded] == [
        ("failed", "no result.json was logged")
    ]
    means = [{s.setting: s.estimate.mean for s in found.decisive.scores} for found in (ours, theirs)]
    assert means[0] == means[1]
    with pytest.raises(InputError, match="there is no such experiment"):
        local_paths([f"mlflow:{store}/other"])
    assert mlflow.MlflowClient(store).get_experiment_by_name("other") is None
