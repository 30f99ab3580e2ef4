"""`deepmatte evaluate SWEEP`: every finished run on another data set, skipping what was evaluated before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from simulated_pictures import photographs
from tiny_run import compose

from deepmatte.errors import InputError
from deepmatte.scoring.evaluate import evaluate
from deepmatte.scoring.sweep import evaluate_sweep, runs_below


@pytest.fixture
def sweep_of_four(trained: Path, tmp_path: Path) -> Path:
    """Two finished runs, one that has lost its checkpoint, and one that has failed."""
    for name in ("a", "b", "broken", "failed"):
        shutil.copytree(trained, tmp_path / "sweep" / name)
    (tmp_path / "sweep" / "broken" / "checkpoints" / "best.ckpt").unlink()
    record = tmp_path / "sweep" / "failed" / "result.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"status": "failed"}))
    (tmp_path / "sweep" / "logs").mkdir()
    return tmp_path / "sweep"


@pytest.mark.slow
def test_every_finished_run_of_a_sweep_is_evaluated_once(
    sweep_of_four: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = photographs(tmp_path / "photos")
    words = ["data=alphamatting", f"data.root={root}", "num_pictures=0", "data.num_workers=0"]
    runs = runs_below(sweep_of_four)
    assert [run.name for run in runs] == ["a", "b", "broken", "failed"]
    assert runs_below(sweep_of_four / "a") == []
    alone = evaluate(compose("evaluate", [f"run={sweep_of_four / 'a'}", *words]))
    config = compose("evaluate", [f"run={sweep_of_four}", *words])
    capsys.readouterr()
    first = [outcome.what for outcome in evaluate_sweep(config, runs)]
    assert first == ["evaluated before", "evaluated", "failed", "skipped: failed"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"1/4 a: evaluated before, SAD {alone['scores']['test/sad']:.4g}"
    assert "best.ckpt" in lines[2]
    assert any(
        "alphamatting_test: 1 evaluated before, 1 evaluated, 1 failed, 1 skipped" in line for line in lines
    )
    record = sweep_of_four / "b" / "evaluations" / "alphamatting_test" / "result.json"
    assert json.loads(record.read_text())["scores"] == alone["scores"]

    written = record.stat().st_mtime_ns
    second = [outcome.what for outcome in evaluate_sweep(config, runs[:2])]
    assert second == ["evaluated before", "evaluated before"]
    assert record.stat().st_mtime_ns == written
    loose = compose("evaluate", [f"run={sweep_of_four}", *words, "data.trimap=trimap_loose"])
    assert [outcome.what for outcome in evaluate_sweep(loose, runs[1:2])] == ["evaluated"]
    stale = json.loads(record.read_text()) | {"metrics_version": "0"}
    record.write_text(json.dumps(stale))
    assert [outcome.what for outcome in evaluate_sweep(config, runs[1:2])] == ["evaluated"]


@pytest.mark.parametrize(
    ("word", "message"), [("output=there", "output: would be the same"), ("trainer=ddp", "in one process")]
)
def test_what_a_sweep_cannot_have_is_refused(word: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        evaluate_sweep(compose("evaluate", [f"run={tmp_path}", word]), [tmp_path])
