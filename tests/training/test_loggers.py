"""The groups ``logger`` and ``callbacks``: what other programs read of a run that fails and is resumed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig
from PIL import Image
from tiny_run import compose

from deepmatte.config import validation
from deepmatte.config.validation import check_own_keys
from deepmatte.data import write_png
from deepmatte.errors import InputError
from deepmatte.runs.directory import RunDir
from deepmatte.runs.identity import config_hash
from deepmatte.training.building import from_config
from deepmatte.training.tracking.tracker import Tracker

RESULT: dict[str, Any] = {
    "scores": {"val/sad": 3.0, "test/sad": 4.5},
    "best_epoch": 1,
    "protocol": "adobe",
    "seed": 0,
    "cost": {"seconds": 7.0, "steps": 3},
}
RESUMED = {"global_step": 2, "num_rows": None}

OWN = """
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger


class Watcher(Callback):
    def __init__(self, every: int = 1) -> None:
        self.every = every


class Log(CSVLogger):
    pass
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    directory = RunDir(tmp_path / "runs" / "mine" / "0123abcd")
    directory.update(status="running", overrides=["loss=dice", "name=mine", "~mlflow"])
    return directory


CAT = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)


def tracker(config: DictConfig, run: RunDir, checkpoint: Any = None) -> Tracker:
    return Tracker(from_config.build_loggers(config), config, run, checkpoint)


def log(loggers: Tracker, steps: dict[int, float]) -> None:
    for step, value in steps.items():
        loggers.loggers[1].log_metrics({"val/sad": value}, step)


def finish(loggers: Tracker, run: RunDir) -> None:
    for part, picture in (("image", CAT), ("alpha", CAT[..., 0]), ("matte", 255 - CAT[..., 0])):
        write_png(run.pictures / "test" / f"pets/cat_{part}.png", picture)
    loggers.finish(RESULT, [{"image": "cat", "sad": 4.5}])


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of the user's own that has a callback and a logger."""
    (tmp_path / "watching_package.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DEEPMATTE_ALLOWED_TARGETS", "watching_package.")
    yield "watching_package"
    sys.modules.pop("watching_package", None)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], {"csv", "wandb"}),
        (["logger=csv"], {"csv"}),
        (["logger=[csv,tensorboard]"], {"csv", "tensorboard"}),
        (["logger=[wandb,tensorboard,mlflow]"], {"wandb", "tensorboard", "mlflow"}),
    ],
)
def test_a_logger_is_a_choice_of_the_group_and_no_part_of_a_run_s_identity(
    words: list[str], names: set[str]
) -> None:
    config = compose("train", [*words, "mlflow.tracking_uri=http://localhost"])
    assert set(config.logger) == names
    assert config_hash(config) == config_hash(compose("train", []))


def test_w_and_b_online_without_a_login_is_refused_in_one_line(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"^wandb\.mode=online: .*login.*; WANDB_MODE=offline [^\n]+$"):
        tracker(compose("train", ["wandb.mode=online"]), run)


def test_callbacks_that_only_watch_are_no_part_of_the_identity_and_one_s_own_are(own: str) -> None:
    plain = compose("train", [])
    kinds = [type(callback).__name__ for callback in from_config.build_callbacks(plain)]
    assert kinds == ["PictureGrids", "LearningRateMonitor"]
    for words in (["callbacks=none"], ["callbacks.pictures.num_samples=9"]):
        assert config_hash(compose("train", words)) == config_hash(plain)
    mine = compose("train", ["callbacks=none", f"+callbacks.mine={{_target_: {own}.Watcher, every: 3}}"])
    (callback,) = from_config.build_callbacks(mine)
    assert (type(callback).__name__, callback.every) == ("Watcher", 3)
    assert config_hash(mine) != config_hash(plain)


def test_a_callback_of_a_package_that_is_not_trusted_is_refused(
    own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose("train", [f"+callbacks.mine={{_target_: {own}.Watcher}}"])
    monkeypatch.delenv("DEEPMATTE_ALLOWED_TARGETS")
    with pytest.raises(InputError, match=r"^callbacks.mine._target_=watching_package.Watcher: give"):
        from_config.build_callbacks(config)
    assert own not in sys.modules
    config = compose("train", ["+logger.mine={_target_: pytorch_lightning.callbacks.Timer}"])
    with pytest.raises(InputError, match=r"^logger.mine._target_=pytorch_lightning.callbacks.Timer: give"):
        from_config.build_loggers(config)


def test_a_logger_of_one_s_own_gets_configuration_and_metrics(own: str, run: RunDir, tmp_path: Path) -> None:
    words = ["logger=csv", f"+logger.mine={{_target_: {own}.Log, save_dir: {tmp_path}, name: x, version: y}}"]
    config = compose("train", words)
    loggers = tracker(config, run)
    log(loggers, {1: 5.0})
    loggers.loggers[1].finalize("success")
    assert "val/sad" in (tmp_path / "x/y/metrics.csv").read_text()
    assert "deepmatte.models" in (tmp_path / "x/y/hparams.yaml").read_text()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_said_in_one_line_with_its_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "find_spec", lambda wanted: None if wanted == name else object())
    with pytest.raises(InputError) as refused:
        check_own_keys(compose("train", [f"logger=[csv,{name}]"]))
    assert str(refused.value) == f"logger={name}: needs an extra; pip install 'deepmatte[{name}]'"
    check_own_keys(compose("train", []))


def test_a_resumed_run_goes_to_the_mlflow_server_of_who_resumes_it(run: RunDir) -> None:
    run.write_config(compose("train", ["logger=mlflow", "mlflow.tracking_uri=http://stranger"]), [])
    assert run.resumed("offline").mlflow.tracking_uri is None
    assert run.resumed("offline", tracking_uri="http://mine").mlflow.tracking_uri == "http://mine"


def test_processes_but_the_first_log_nowhere(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepmatte.training.tracking.tracker.is_first_process", lambda: False)
    config = compose("train", ["logger=[tensorboard,mlflow]"])
    assert [type(logger).__name__ for logger in tracker(config, run).loggers] == ["Curves"]


def test_tensorboard_reads_curves_without_what_a_resumed_run_computes_again(run: RunDir) -> None:
    pytest.importorskip("tensorboard", reason="needs deepmatte[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = compose("train", ["logger=tensorboard"])
    first = tracker(config, run)
    log(first, {0: 5.0, 1: 4.0})
    first.loggers[1].log_image("val/pictures", [np.zeros((4, 6, 3), np.uint8)], step=2, caption=["x"])
    log(first, {2: 99.0, 3: 99.0})
    first.fail()
    second = tracker(config, run, RESUMED)
    log(second, {2: 3.0, 3: 3.5})
    second.loggers[1].finalize("success")  # as Lightning does after each stage
    second.loggers[1].log_image("val/pictures", [np.zeros((4, 6, 3), np.uint8)], step=4, caption=["x"])
    finish(second, run)
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("val/sad")] == [
        (0, 5.0),
        (1, 4.0),
        (2, 3.0),
        (3, 3.5),
    ]
    assert events.Scalars("best/val/sad")[-1].value == 3.0
    assert events.Scalars("test/sad")[-1].value == 4.5
    assert [event.step for event in events.Images("val/pictures")] == [1, 3]
    (shown,) = events.Images("test/mattes/pets/cat")
    grey = np.repeat(CAT[..., :1], 3, 2)
    picture = np.asarray(Image.open(BytesIO(shown.encoded_image_string)))
    assert np.array_equal(picture, np.concatenate([CAT, grey, 255 - grey], 1))
    assert b"procedural" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0]
    assert len(list((run.path / "tensorboard").glob("events*"))) == 2


def test_mlflow_has_one_run_of_a_resumed_run_with_each_step_once_and_its_records(run: RunDir) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs deepmatte[mlflow]")
    config = compose("train", ["logger=mlflow", "name=mine", "loss=dice"])
    first = tracker(config, run)
    log(first, {0: 5.0, 1: 4.0, 2: 3.0})
    client = mlflow.MlflowClient(f"sqlite:///{run.path.parents[1] / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mine")
    first.fail()
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FAILED"
    second = tracker(config, run, RESUMED)
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "RUNNING"
    log(second, {2: 3.0, 3: 3.5})
    second.loggers[1].finalize("success")  # as Lightning does after each stage
    second.loggers[1].log_image("val/pictures", [np.zeros((4, 6, 3), np.uint8)], step=3, caption=["x"])
    (run.path / "per_image.csv").write_text("image,sad\ncat,4.5\n")
    finish(second, run)
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.status, found.info.run_name) == ("FINISHED", "loss=dice")
    assert found.data.params["loss/dice/weight"] == "1"
    assert found.data.params["overrides/loss"] == "dice"
    assert found.data.metrics["best/val/sad"] == 3.0
    history = client.get_metric_history(found.info.run_id, "val/sad")
    assert [(metric.step, metric.value) for metric in history] == [(0, 5.0), (1, 4.0), (2, 3.0), (3, 3.5)]
    artifacts = {file.path for file in client.list_artifacts(found.info.run_id)}
    assert {"result.json", "per_image.csv", "config.yaml", "pictures"} <= artifacts
    assert Path(client.download_artifacts(found.info.run_id, "pictures/pets/cat.png")).is_file()


def test_mlflow_begins_anew_in_a_directory_of_another_configuration(run: RunDir) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs deepmatte[mlflow]")
    for word in ("seed=1", "seed=2"):
        tracker(compose("train", ["logger=mlflow", "name=mine", word]), run).fail()
    client = mlflow.MlflowClient(f"sqlite:///{run.path.parents[1] / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    assert {found.data.params["seed"] for found in runs} == {"1", "2"}


@pytest.mark.slow
def test_a_run_has_nothing_to_do_with_the_wandb_service_of_the_program_that_started_it(
    tiny, tmp_path: Path
) -> None:
    """As a notebook's that has used W&B: its service may hold the id of a killed run, or be gone."""
    command = [sys.executable, "-m", "deepmatte.cli.train", *tiny("wandb.mode=offline")]
    environment = os.environ | {"WANDB_SERVICE": "3-1-tcp-localhost-9"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("runs/*/*/wandb/offline-run-*/*.wandb"))
