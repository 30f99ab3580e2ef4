"""Studies: what goes into one table, with which baselines, and what the page says, from records on disk."""

from __future__ import annotations

import json
import re
import time
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from study_records import write_record

from deepmatte.cli.study import main
from deepmatte.compare.comparison import compare
from deepmatte.compare.records.naming import setting_name
from deepmatte.data.procedural.names import CYCLE
from deepmatte.errors import InputError
from deepmatte.reports.failures import category_table, failures
from deepmatte.reports.study_figures import losses
from deepmatte.studies import study as study_module
from deepmatte.studies.study import find_study, tables

EXPERIMENT = """# @package _global_
# Claim under test: dice beats alpha,
#   by a lot.
# Cost: nothing.
# Command: deepmatte study small

name: small
study:
  baselines: [method=kmeans, method=kmeans method.trimap=false]
  text: "*Guides* say so."
hydra:
  mode: MULTIRUN
  sweeper: {params: {loss: "alpha,dice", seed: "0,1"}}
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one experiment whose runs are finished; methods are scored by writing their records."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "small.yaml").write_text(EXPERIMENT)
    for loss, sad in (("alpha", 9.0), ("dice", 7.0)):
        for seed in (0, 1):
            write_record(
                tmp_path / f"runs/small/{loss}{seed}",
                sad + seed / 100,
                overrides=(f"loss={loss}",),
                seed=seed,
            )

    def run(command: list[str], check: bool, env: dict[str, str] | None = None) -> SimpleNamespace | None:
        if "deepmatte.cli.train" in command:
            return SimpleNamespace(returncode=1)
        words = dict(word.partition("=")[::2] for word in command if "=" in word)
        mode = "trimap-free" if words.get("method.trimap") == "false" else "trimap given"
        assert Path(words["like"].strip("'")).is_dir()
        write_record(Path(words["output"].strip("'")), 20.0, method=f"kmeans {mode}", mode=mode)
        return None

    monkeypatch.setattr(study_module.subprocess, "run", run)
    return tmp_path


def test_the_page_says_what_came_out(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "runs/small/study.json").write_text('{"seconds": 420}')
    assert main(["small", "--page"]) == 0
    page = checkout / "experiments" / "small.md"
    assert str(page.relative_to(checkout)) in capsys.readouterr().out
    text = page.read_text()
    assert "Claim under test: dice beats alpha, by a lot." in text
    assert "*Guides* say so." in text
    assert re.search(r"## dice is best in SAD \([\d.]+\): alpha is 2\d % higher", text)
    assert "The best setting, dice, is in SAD better (" in text
    assert (
        "4 runs and 2 evaluations of methods without a network, 7 minutes elapsed, 6 minutes of machine time"
        in text
    )
    assert text.index("without a network, trimap given") < text.index("without a network, trimap-free")
    assert "| dice | 1 | 3 |" in text  # losses after the last epoch
    figures = {line.split("](")[1].removesuffix(")") for line in text.splitlines() if line.startswith("![")}
    assert {"small/scores.png", "small/loss.png", "small/mattes.png"} <= figures
    assert all((page.parent / figure).is_file() for figure in figures)


def test_what_is_scored_is_not_scored_again(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = find_study("small", ["seed=0,1", "output_root=runs"])  # a list of values is for the sweep alone
    homes = study_module.score_baselines(study, tables(study)[0])
    assert len(homes) == 2
    monkeypatch.setattr(study_module.subprocess, "run", None)
    assert study_module.score_baselines(study, tables(study)[0]) == homes


@pytest.mark.parametrize(
    ("parallel", "seconds", "said"),
    [(2, 180, True), (2, 179, False)],
)
def test_a_page_gives_no_time_that_can_not_hold_the_work(
    checkout: Path, parallel: int, seconds: int, said: bool
) -> None:
    (checkout / "runs/small/sweep.json").write_text(json.dumps({"parallel": parallel}))
    (checkout / "runs/small/study.json").write_text(json.dumps({"seconds": seconds}))
    assert main(["small", "--page"]) == 0  # 4 runs and 2 evaluations of 60 seconds
    assert ("minutes elapsed" in (checkout / "experiments/small.md").read_text()) == said


def interrupted() -> None:
    """What is stopped from the keyboard after a while."""
    time.sleep(0.02)
    raise KeyboardInterrupt


def test_time_at_work_adds_up_over_the_starts_of_a_study(checkout: Path) -> None:
    study = find_study("small")
    assert study.seconds == 0
    with study.active():
        time.sleep(0.02)
    first = study.seconds
    assert first >= 0.02
    with pytest.raises(KeyboardInterrupt), find_study("small").active():
        interrupted()
    assert study.seconds >= first + 0.02


def test_methods_are_scored_by_the_rules_of_the_networks(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(study_module.subprocess, "run", lambda command, check: commands.append(command))
    for words in ([], ["impose_trimap=false"]):
        study = find_study("small", words)
        study_module.score_baselines(study, tables(study)[0])
    assert ["impose_trimap=false" in command for command in commands] == [False, False, True, True]
    outputs = [word for command in commands for word in command if word.startswith("output=")]
    assert len(set(outputs)) == 4  # what was scored by other rules is not taken for it


def test_each_test_set_has_a_table_of_its_own(checkout: Path) -> None:
    for loss in ("alpha", "dice"):
        for seed in (0, 1):
            write_record(
                checkout / f"runs/small/{loss}{seed}_28",
                5.0,
                "d2",
                (f"loss={loss}", "composition.size=28"),
                seed,
            )
    assert sorted(len(runs) for runs in tables(find_study("small"))) == [4, 4]
    assert main(["small", "--page"]) == 0
    text = (checkout / "experiments" / "small.md").read_text()
    assert "composition.size=28" in text.split("# Test set")[2]
    assert "(small/2_loss.png)" in text
    assert "(small/2_scores.png)" in text


def test_losses_are_means_of_an_epoch(checkout: Path) -> None:
    run = tables(find_study("small"))[0][0]
    assert losses(run).to_dict("list") == {"train": [3.0, 1.0], "validation": [5.0, 3.0]}


def test_a_last_stage_without_validation_loss_has_none_on_the_page(
    checkout: Path,
) -> None:
    """It gave that of the stage before. An epoch without validation has that of the last epoch with it."""
    stages = {name: {"epochs": 2, "learn": "all"} for name in ("generator", "adversarial")}
    curves = "epoch,step,train/loss,val/loss\n0,0,4,\n0,0,,5\n1,1,3,\n2,2,2,{}\n3,3,1,\n"
    for loss, logged in (("alpha", ""), ("dice", "7")):
        for seed in (0, 1):
            run = checkout / f"runs/small/{loss}{seed}"
            (run / ".hydra").mkdir()
            (run / ".hydra" / "config.yaml").write_text(yaml.safe_dump({"stages": stages}))
            (run / "metrics.csv").write_text(curves.format(logged))
    assert main(["small", "--page"]) == 0
    page = (checkout / "experiments" / "small.md").read_text(encoding="utf-8")
    assert "| alpha | 1 | - |" in page
    assert "| dice | 1 | 7 |" in page


def test_what_cannot_be_is_said_in_one_line(checkout: Path) -> None:
    with pytest.raises(InputError, match=r"EXPERIMENT=smal: .*choose one of .*small"):
        find_study("smal")
    with pytest.raises(InputError, match="no finished run"):
        tables(find_study("small", ["output_root=elsewhere"]))
    with pytest.raises(InputError, match=r"^small: ") as error:
        find_study("small", ["no_such_key=1"])
    assert "\n" not in str(error.value)


def test_the_page_of_an_unfinished_sweep_says_so(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [{"run": name} for name in ("alpha0", "alpha1", "dice0", "dice1", "dice2", "dice3")]
    (checkout / "runs/small/sweep.json").write_text(json.dumps({"jobs": jobs}))
    (checkout / "runs/small/dice2").mkdir()
    (checkout / "runs/small/dice2/result.json").write_text(
        json.dumps({"status": "failed", "error": "too little memory"})
    )
    line = "4 of 6 jobs of runs/small are finished (1 failed, 1 not started)"
    with pytest.raises(InputError, match=re.escape(f"{line}; run the others first: deepmatte study small")):
        main(["small", "--page"])
    assert not (checkout / "experiments/small.md").exists()
    assert main(["small"]) == 1  # the sweep is run, and jobs fail
    assert f"**{line}.**" in (checkout / "experiments/small.md").read_text()
    assert f"deepmatte: {line}" in capsys.readouterr().err


def test_a_sweep_that_is_refused_ends_its_study(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has said why; that there is nothing to compare would be a second error that says less."""
    monkeypatch.setattr(
        study_module.subprocess, "run", lambda command, **options: SimpleNamespace(returncode=2)
    )
    assert main(["small", "hydra/launcher=basic"]) == 2
    assert capsys.readouterr() == ("", "")
    assert not (checkout / "experiments" / "small.md").exists()


def test_where_a_setting_fails_is_said_by_kind_and_shown(checkout: Path) -> None:
    comparison = compare([run.path for run in tables(find_study("small"))[0]])
    lines = category_table(comparison).splitlines()
    # Images 0, 2, 4 are hair, 1, 3, 5 glass; an image's score is that of its setting + number / 10, a seed's
    # + seed / 100.
    assert lines[-4:] == [
        "| sad /1000 ↓ by category | glass | hair | furthest behind on |",
        "|---|---:|---:|---|",
        "| dice | **7.305** | **7.205** | none |",
        "| alpha | 9.305 | 9.205 | hair: 1.28 x dice |",
    ]
    figure = failures(comparison, {"hair": "strands", "glass": "glass", "smoke": "smoke"})
    assert figure is not None
    assert [axis.get_title(loc="left") for axis in figure.axes if axis.get_title(loc="left")] == [
        "strands",
        "glass",
    ]
    assert [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()] == ["dice", "alpha"]
    assert failures(comparison, {"smoke": "smoke"}) is None


def test_an_experiment_without_a_grid_is_refused(checkout: Path) -> None:
    (checkout / "experiments" / "single.yaml").write_text(
        "# @package _global_\n# Claim: none.\nname: single\nseed: 3\n"
    )
    with pytest.raises(InputError, match=r"^experiments/single.yaml: has no grid; give it hydra.mode"):
        find_study("single")


def test_every_core_has_a_job_unless_a_launcher_is_chosen(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_module, "cores", lambda: ["0", "1", "2"])
    monkeypatch.setattr(study_module, "find_spec", lambda name: name == "hydra_plugins.hydra_joblib_launcher")
    assert study_module.side_by_side(find_study("small")) == [
        "hydra/launcher=workstation",
        "hydra.launcher.n_jobs=3",
    ]
    for words in (["hydra/launcher=basic"], ["trainer=gpu"], ["trainer=ddp"]):
        assert study_module.side_by_side(find_study("small", words)) == []
    monkeypatch.setattr(study_module, "cores", lambda: ["0"])
    assert study_module.side_by_side(find_study("small")) == []


STUDIES = {
    file.stem: content["study"]
    for file in sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))
    if "study" in (content := yaml.safe_load(file.read_text(encoding="utf-8")))
}
METHODS = {
    words
    for study in STUDIES.values()
    for words in [*study.get("baselines", []), *(study.get("scenes") or {}).get("methods", [])]
}


@pytest.mark.parametrize("study", STUDIES.values(), ids=list(STUDIES))
def test_a_study_says_nothing_that_nobody_reads(study: dict[str, Any]) -> None:
    assert set(study) <= set(study_module.OPTIONS)
    assert set(study.get("kinds", {})) <= set(CYCLE)
    assert set(study.get("scenes") or {}) <= {"count", "size", "instances", "seed", "methods"}


@pytest.mark.parametrize("name", list(STUDIES))
def test_what_a_study_compares_are_settings_of_its_grid(name: str) -> None:
    study = find_study(name)
    grid = {
        key: re.split(r",\s*", str(values))
        for key, values in study.hydra.sweeper.params.items()
        if key != "seed"
    }
    varied = {
        key: values
        for key, values in grid.items()
        if len(values) > 1 and not values[0].startswith(("[", "{"))
    }
    settings = {setting_name(dict(zip(varied, values, strict=True))) for values in product(*varied.values())}
    reference, pairs = study.options["reference"], study.options["pairs"]
    assert {reference or next(iter(settings)), *pairs, *pairs.values()} <= settings


@pytest.mark.parametrize("words", sorted(METHODS))
def test_the_methods_of_the_studies_can_be_built(words: str) -> None:
    from tiny_run import compose

    from deepmatte.config.build import build

    assert callable(build(compose("evaluate", words.split()).method, "method"))
