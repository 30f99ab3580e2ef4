"""What is logged to W&B, read back from the files that it writes."""

from __future__ import annotations

import json
import shutil
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import create_autospec

import numpy as np
import pytest
from omegaconf import DictConfig
from simulated_runs import write_run
from tiny_run import compose

from deepmatte.compare.comparison import compare
from deepmatte.compare.records.remote import local_paths
from deepmatte.runs.directory import RunDir
from deepmatte.runs.identity import config_hash

if TYPE_CHECKING:
    from deepmatte.training.tracking.tracker import Tracker

pytestmark = pytest.mark.slow

SCORES = {"val/sad": 3.0, "test/sad": 4.5, "trivial/test/sad": 9.0}
RESULT = {
    "scores": SCORES,
    "best_epoch": 1,
    "protocol": "adobe",
    "status": "finished",
    "cost": {"seconds": 7.0, "device_seconds": 14.0},
}


def records_of(data: bytes) -> Iterator[bytes]:
    """Yield the records of a ``.wandb`` file: LevelDB's log of 32 KiB blocks, after a header of 7 bytes."""
    place, whole = 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        if place + 7 + length > len(data):  # W&B is still writing it
            return
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield whole
            whole = b""


def read(folder: Path) -> list[dict[str, list]]:
    """Return, for each ``.wandb`` file below ``folder`` in order of time, its records by kind."""
    end = time.monotonic() + 30
    while True:
        found = [kinds_of(file) for file in sorted(folder.rglob("*.wandb"))]
        whole = found and all("exit" in kinds for kinds in found)
        if whole or time.monotonic() > end:  # W&B writes a moment after it has said that it is done
            return found
        time.sleep(0.2)


def kinds_of(file: Path) -> dict[str, list]:
    from wandb.proto.wandb_internal_pb2 import Record

    kinds: dict[str, list] = {}
    for data in records_of(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        kinds.setdefault(kind, []).append(getattr(record, kind))
    return kinds


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple]:
    """A configuration with W&B offline, and its run directory."""
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    config = compose(
        "train",
        ["name=study", "loss=dim", "loss.dice.weight=0.25", "wandb.mode=offline", "wandb.tags=[mine]"],
    )
    directory = RunDir(tmp_path / "run")
    directory.update(
        status="running", overrides=["name=study", "loss=dim", "loss.dice.weight=0.25", "trainer=ddp"]
    )
    yield config, directory
    if wandb.run is not None:
        wandb.finish()


def logging_to(config: DictConfig, directory: RunDir) -> Tracker:
    """Return the loggers of a run: its curves, and W&B."""
    from deepmatte.training.building import from_config
    from deepmatte.training.tracking.tracker import Tracker

    return Tracker(from_config.build_loggers(config), config, directory)


def test_a_run_has_group_name_tags_sortable_columns_a_summary_of_the_best_epoch_and_minima(run) -> None:
    config, directory = run
    tracker = logging_to(config, directory)
    for step, sad in enumerate((5.0, 3.0, 4.0)):
        tracker.loggers[1].log_metrics({"val/sad": sad}, step)
    rows = [{"image": "a", "sad": 4.5}]
    for name in ("result.json", "per_image.csv", "metrics.csv"):
        (directory.path / name).touch()
    tracker.finish(RESULT, rows)
    (records,) = read(directory.path)
    started = records["run"][0]
    assert (started.run_id, started.run_group, started.job_type) == (config_hash(config), "study", "train")
    assert started.display_name == "loss=dim loss.dice.weight=0.25"
    assert list(started.tags) == ["study", "mine"]
    columns = {item.key: json.loads(item.value_json) for item in started.config.update}
    columns |= {
        item.key: json.loads(item.value_json)
        for config in records.get("config", [])
        for item in config.update
    }
    assert columns["loss"]["dice"]["weight"] == 0.25
    assert columns["overrides"]["loss"] == "dim"
    assert columns["seed"] == 0
    minima = {metric.name: metric for metric in records["metric"]}
    for name in ("val/sad", "val/mse", "val/grad", "val/conn"):
        assert minima[name].summary.min
        assert minima[name].step_metric == "trainer/global_step"
    summary: dict[str, object] = {}
    for update in records["summary"]:
        for item in update.update:
            summary["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    assert summary["test/sad"] == 4.5
    assert summary["val/sad"] in (3.0, {"min": 3.0})
    assert summary["cost/device_seconds"] == 14.0
    assert records["exit"][0].exit_code == 0


def test_checkpoints_are_versions_of_an_artifact_beside_the_data_that_they_come_from(run) -> None:
    config, directory = run
    config.wandb.artifacts = True
    directory.checkpoints.mkdir()
    for name in ("best", "last"):
        (directory.checkpoints / f"{name}.ckpt").write_text(name)
    for name in ("result.json", "per_image.csv", "metrics.csv"):
        (directory.path / name).touch()
    data = {"dataset": {"name": "procedural", "version": "1.0"}, "fingerprint": {"data": {"train": "ab"}}}
    logging_to(config, directory).finish(RESULT | data, [{"image": "a", "sad": 4.5}])
    (records,) = read(directory.path)
    kept = [item for item in records["artifact"] if item.type in ("model", "dataset")]
    identity = config_hash(config)
    assert [(item.type, item.name, set(item.aliases)) for item in kept] == [
        ("dataset", "data-procedural", {"latest"}),
        ("model", f"checkpoint-{identity}", {"last", "latest"}),  # W&B moves `latest` to each new version
        ("model", f"checkpoint-{identity}", {"best", "latest"}),
    ]
    assert json.loads(kept[1].metadata)["data"]["digests"] == {"train": "ab"}
    assert [entry.path for entry in kept[1].manifest.contents] == ["model.ckpt"]


def test_a_group_compares_as_its_run_directories_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's answers are made of what W&B itself has recorded of an offline sweep."""
    import wandb
    from wandb.apis.public import File
    from wandb.apis.public import Run as ApiRun

    monkeypatch.setenv("WANDB_MODE", "offline")
    sweep, rng = tmp_path / "s", np.random.default_rng(0)
    for loss, effect in (("alpha", 5.0), ("dice", 9.0)):
        for seed in (0, 1):
            scores = effect + rng.normal(0, 0.3, 12)
            job = RunDir(write_run(sweep / f"{loss}{seed}", [f"loss={loss}"], seed, scores))
            words = ["name=s", f"loss={loss}", f"seed={seed}", "wandb.mode=offline"]
            loggers = logging_to(compose("train", words), job)
            (job.path / "metrics.csv").write_text("step,train/loss\n1,0.5\n")
            loggers.finish(job.result() or {}, [{"image": "a", "sad": 1.0}])

    def served(folder: Path) -> object:
        (parts,) = read(folder)
        started, files = parts["run"][0], []
        for name in [item.path for record in parts["files"] for item in record.files]:
            file = create_autospec(File, instance=True)
            file.name = name
            file.download.side_effect = lambda root, replace, name=name: shutil.copy(
                folder / "files" / name, Path(root) / name
            )
            files.append(file)
        found = create_autospec(ApiRun, instance=True)
        found.configure_mock(id=started.run_id, job_type=started.job_type, group=started.run_group)
        found.files.return_value = files
        return found

    recorded = [served(folder) for folder in sorted(sweep.glob("*/wandb/offline-run-*"))]
    api = create_autospec(wandb.Api, instance=True)
    api.runs.side_effect = lambda path, filters: [run for run in recorded if run.group == filters["group"]]
    monkeypatch.setattr(wandb, "Api", lambda: api)
    (fetched,) = local_paths(["wandb:me/deepmatte/s"], cache=tmp_path / "cache")
    ours, theirs = compare([sweep]), compare([fetched])
    assert len(theirs.runs) == 4
    means = [{s.setting: s.estimate.mean for s in found.decisive.scores} for found in (ours, theirs)]
    assert means[0] == means[1]
    assert all((run.path / "metrics.csv").is_file() for run in theirs.runs)


def test_a_resumed_job_continues_its_run_and_another_rank_never_makes_one(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, directory = run
    tracker = logging_to(config, directory)
    tracker.loggers[1].log_metrics({"val/sad": 5.0}, 1)
    tracker.fail()
    with monkeypatch.context() as patch:
        patch.setattr("deepmatte.training.tracking.tracker.is_first_process", lambda: False)
        assert len(logging_to(config, directory).loggers) == 1
    assert len(read(directory.path)) == 1
    tracker = logging_to(config, directory)
    tracker.loggers[1].log_metrics({"val/sad": 4.0}, 2)
    tracker.fail()
    first, second = read(directory.path)
    assert first["run"][0].run_id == second["run"][0].run_id
    assert first["exit"][0].exit_code == 1
    assert [
        json.loads(item.value_json)
        for item in second["history"][0].item
        if "/".join(item.nested_key) == "val/sad"
    ] == [4.0]


def test_jobs_of_two_ranks_make_a_run_each_and_one_whose_rank_was_lost_goes_on_with_its_own(
    sweeps, tiny
) -> None:
    """A real sweep under DDP; the second process of its first job is killed, then the same command."""
    words = tiny("stages.encoder_decoder.epochs=3", "data.samples_per_epoch=32")
    words = (*words, "trainer=ddp", "trainer.accelerator=cpu", "seed=0,1", "wandb.mode=offline")
    first = sweeps.start(*words, WANDB_MODE="offline")
    sweeps.wait_for(lambda: list(sweeps.home.glob("runs/s/*/checkpoints/last.ckpt")))
    others = [
        pid
        for pid in sweeps.jobs()
        if b"LOCAL_RANK=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    ]
    assert sweeps.kill(others) == 1
    first.communicate(timeout=900)
    assert sorted(record["status"] for record in sweeps.records().values()) == ["failed", "finished"]
    code, output = sweeps.run(*words, timeout=900, WANDB_MODE="offline")
    assert code == 0, output
    starts = {}
    for record in sweeps.records().values():
        identity = record["config_hash"]
        parts = read(sweeps.home / "runs/s" / identity[:8])
        assert {(part["run"][0].run_id, part["run"][0].run_group) for part in parts} == {(identity, "s")}
        assert [part["exit"][0].exit_code for part in parts][-1] == 0
        starts[record["seed"]] = len(parts)
    assert starts == {0: 2, 1: 1}
    assert len(list(sweeps.home.rglob("*.wandb"))) == 3  # none of the launcher's
