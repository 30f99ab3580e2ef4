"""Reading run directories: what is compared, what is excluded and why, what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simulated_runs import write_run

from deepmatte.compare.comparison import compare
from deepmatte.compare.records.grouping import find_setting, group_settings
from deepmatte.compare.records.reading import Excluded, Run, find_run_dirs, mixture, read_records, read_run
from deepmatte.compare.verdict import decide
from deepmatte.errors import InputError
from deepmatte.metrics.names import heading

SCORES = np.arange(8.0)


def test_sweep_directory_holds_its_runs_but_not_the_launchers_logs(sweep: Callable[..., Path]) -> None:
    directory = sweep({"alpha": 10, "dice": 12}, seeds=2)
    (directory / "jobs" / "0" / ".hydra").mkdir(parents=True)
    (directory / "jobs" / "0" / ".hydra" / "config.yaml").write_text("a: 1")
    assert len(find_run_dirs([directory])) == 4
    assert len(find_run_dirs([directory, *directory.glob("0*")])) == 4, "a run that is named twice is one run"


def test_a_metric_of_a_user_s_own_is_ranked_by_the_direction_that_its_runs_declare(tmp_path: Path) -> None:
    """Its name alone would say that less is better; runs that disagree are refused."""
    for number, (setting, level) in enumerate([("alpha", 5.0), ("alpha", 5.1), ("dice", 7.0), ("dice", 7.1)]):
        declared = {"metrics": {"agreement": {"unit": "%", "higher_is_better": True}}}
        run = write_run(tmp_path / str(number), [f"loss={setting}"], number % 2, SCORES, declared)
        table = pd.read_csv(run / "per_image.csv").assign(agreement=SCORES + level)
        table.to_csv(run / "per_image.csv", index=False)
    comparison = compare([tmp_path], metric="agreement")
    assert comparison.decisive.table.sign == -1
    assert heading("agreement") == "agreement % ↑"
    assert "dice has the highest AGREEMENT" in decide(comparison).headline
    file = tmp_path / "3" / "result.json"
    file.write_text(file.read_text().replace('"%"', '"/1000"'))
    with pytest.raises(InputError, match="3: declares the metric agreement as"):
        read_records([tmp_path])


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        (
            {"status": "failed", "error": "RuntimeError: NaN loss\nTraceback"},
            "failed",
            "RuntimeError: NaN loss",
        ),
        ({"status": "running"}, "running", "still running, or killed"),
        ({"status": "timeout", "error": "ended after 60 s"}, "timeout", "ended after 60 s"),
        ({"seed": None}, "damaged", "'seed'"),
        ({"scores": 3}, "damaged", "scores=3"),
    ],
)
def test_run_that_can_not_be_compared_is_excluded_with_its_reason(
    tmp_path: Path, change: dict, status: str, reason: str
) -> None:
    record = read_run(write_run(tmp_path / "run", [], 0, SCORES, change))
    assert isinstance(record, Excluded)
    assert record.status == status
    assert reason in record.reason


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("result.json", '{"status": "fini', "not readable as JSON"),
        ("result.json", "[]", "no 'status'"),
        ("per_image.csv", "", "not readable as CSV"),
        ("per_image.csv", "name,sad\na,1\n", "no column 'image'"),
        ("per_image.csv", "image,sad\na,1\na,2\n", "image a twice"),
        ("per_image.csv", "image,sad\na,1\nb,\n", "'sad'"),
        ("per_image.csv", "image,sad\na,1\nb,oops\n", "'sad'"),
        ("per_image.csv", None, "missing"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, file: str, text: str | None, reason: str) -> None:
    directory = write_run(tmp_path / "run", [], 0, SCORES)
    if text is None:
        (directory / file).unlink()
    else:
        (directory / file).write_text(text)
    record = read_run(directory)
    assert isinstance(record, Excluded)
    assert record.status == "damaged"
    assert file in record.reason
    assert reason in record.reason


def test_directory_with_a_config_only_is_unfinished(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("seed: 0")
    assert read_run(tmp_path) == Excluded(tmp_path, "unfinished", "no result.json yet")


def test_image_without_foreground_is_its_own_foreground(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", [], 0, SCORES)
    (directory / "per_image.csv").write_text("image,foreground,sad\nb,,1\na,lion,2\n")
    record = read_run(directory)
    assert isinstance(record, Run)
    assert record.images["foreground"].tolist() == ["lion", "b"], "rows are in the order of the image names"
    assert record.metrics == ["sad"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"protocol": "adobe_masked"}, "protocol adobe against adobe_masked"),
        ({"metrics_version": "2"}, "metrics version 1 against 2"),
        ({"dataset": {"digest": "other"}}, "test set"),
    ],
)
def test_runs_of_different_tests_are_refused_by_name(tmp_path: Path, change: dict, name: str) -> None:
    write_run(tmp_path / "a", ["loss=alpha"], 0, SCORES)
    write_run(tmp_path / "b", ["loss=dice"], 0, SCORES, change)
    with pytest.raises(InputError, match=name) as caught:
        read_records([tmp_path])
    assert str(tmp_path / "a") in str(caught.value)
    assert str(tmp_path / "b") in str(caught.value)


def test_runs_of_other_images_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "a", ["loss=alpha"], 0, SCORES)
    write_run(tmp_path / "b", ["loss=dice"], 0, SCORES[:-1])
    with pytest.raises(InputError, match="other images"):
        read_records([tmp_path])


def test_missing_and_empty_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such directory"):
        read_records([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="no run directories"):
        read_records([tmp_path])


def names(directory: Path) -> dict[str, list[int]]:
    return {setting.name: setting.seeds for setting in group_settings(read_records([directory]).runs)}


def test_settings_are_named_by_what_varies_and_hold_their_seeds(tmp_path: Path) -> None:
    for number, (loss, seed) in enumerate([("alpha", 1), ("alpha", 0), ("dice", 0)]):
        write_run(
            tmp_path / str(number), [f"loss={loss}", "budget=laptop", f"hydra.run.dir={number}"], seed, SCORES
        )
    assert names(tmp_path) == {"alpha": [0, 1], "dice": [0]}


def test_several_factors_and_their_defaults_stand_in_the_name(tmp_path: Path) -> None:
    write_run(tmp_path / "0", ["loss.dice.weight=0.5", "+optimizer.lr=0.01"], 0, SCORES)
    write_run(tmp_path / "1", ["loss.dice.weight=0.5"], 0, SCORES)
    write_run(tmp_path / "2", ["++optimizer.lr=0.01"], 0, SCORES)
    assert set(names(tmp_path)) == {
        "loss.dice.weight=0.5, optimizer.lr=0.01",
        "loss.dice.weight=0.5, optimizer.lr=0.001",  # read from .hydra/config.yaml
        "loss.dice.weight=default, optimizer.lr=0.01",
    }


def test_values_are_spelt_as_in_the_yaml_whatever_hydra_recorded(tmp_path: Path) -> None:
    for number, (model, refine) in enumerate([("a", "False"), ("a", "true"), ("b", "false"), ("b", "True")]):
        write_run(tmp_path / str(number), [f"model={model}", f"stage.refine={refine}"], 0, SCORES)
    settings = group_settings(read_records([tmp_path]).runs)
    both = [f"model={model}, stage.refine={refine}" for model in "ab" for refine in ("false", "true")]
    assert sorted(item.name for item in settings) == both
    assert find_setting(settings, "model=b, stage.refine=True") is find_setting(settings, both[3])


def test_settings_of_many_keys_are_named_by_where_they_depart_from_the_common_levels(tmp_path: Path) -> None:
    rows = [("sgd", 0.1, 1, 8, 4), ("adam", 0.01, 1, 8, 4), ("adam", 0.01, 2, 16, 4), ("adam", 0.01, 1, 8, 2)]
    keys = ("optimizer", "optimizer.lr", "model.depth", "model.width", "data.batch_size")
    for number, row in enumerate(rows):
        words = [f"{key}={value}" for key, value in zip(keys, row, strict=True)]
        write_run(tmp_path / str(number), words, 0, SCORES)
    settings = group_settings(read_records([tmp_path]).runs)
    # The learning rate changes with the optimiser, the width with the depth.
    assert [item.name for item in settings] == ["optimizer=sgd", "base", "depth=2", "batch_size=2"]
    full = "optimizer=adam, optimizer.lr=0.01, model.depth=1, model.width=8, data.batch_size=4"
    assert settings[1].full_name == full
    assert find_setting(settings, full) is find_setting(settings, "base") is settings[1]


def test_config_tells_runs_apart_where_overrides_do_not(tmp_path: Path) -> None:
    for name, width in (("0", 8), ("1", 16)):
        write_run(tmp_path / name, ["loss=alpha"], 0, SCORES)
        (tmp_path / name / ".hydra" / "config.yaml").write_text(f"seed: 0\nmodel: {{width: {width}}}\n")
    assert set(names(tmp_path)) == {"model.width=8", "model.width=16"}


def test_same_configuration_and_seed_twice_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        write_run(tmp_path / name, ["loss=alpha"], 0, SCORES)
        (tmp_path / name / ".hydra" / "config.yaml").write_text("seed: 0\n")
    with pytest.raises(InputError, match="same configuration and seed"):
        names(tmp_path)


def test_compare_imports_no_torch(sweep: Callable[..., Path]) -> None:
    directory = sweep({"alpha": 10, "dice": 12}, seeds=2)
    lines = ["import sys", "from deepmatte.cli.compare import main", "code = main([sys.argv[1], '--json'])"]
    code = "\n".join([*lines, "assert 'torch' not in sys.modules", "sys.exit(code)"])
    done = subprocess.run(
        [sys.executable, "-c", code, str(directory)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["metric"] == "sad"


@pytest.mark.parametrize(
    ("fingerprints", "warning"),
    [
        ([{"code": "a"}, {"code": "a"}, None], ""),
        ([{"code": "a"}, {"code": "b"}, None], "the runs are of 2 versions of the code;"),
        (
            [{"code": "a", "data": {"train": "x"}}, {"code": "b", "data": {"train": "y"}}],
            "the runs are of 2 versions of the code and of 2 training sets;",
        ),
    ],
)
def test_mixtures_of_code_and_data_are_named(
    fingerprints: list[dict | None], warning: str, tmp_path: Path
) -> None:
    table = pd.DataFrame()
    runs = [Run(tmp_path, {"fingerprint": item} if item else {}, table) for item in fingerprints]
    assert warning in mixture(runs)
    assert bool(mixture(runs)) == bool(warning)
