"""The Python of the pages runs, and the package that the tutorial writes does what the page says of it."""

from __future__ import annotations

import doctest
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from documented import PAGES, ROOT, blocks, commands, files, make_user_folder, run_command
from tiny_run import compose

from deepmatte.batch import Matte, example_batch
from deepmatte.config.build import build, loss_function
from deepmatte.config.trust import TRUSTED
from deepmatte.data import CompositionSource
from deepmatte.losses import LossTable
from deepmatte.metrics.names import Metric
from deepmatte.metrics.own import OwnMetrics
from deepmatte.training.building.from_config import build_data, build_metrics

DOCS = ROOT / "docs"
EXTEND = DOCS / "tutorials/extend.md"


def run(page: Path, number: int = 0, **names: Any) -> dict[str, Any]:
    """Run a block of Python of a page, in which ``names`` are known, and return what it has defined."""
    names["__name__"] = "documented"
    exec(compile(blocks(page, "python")[number], page.name, "exec"), names)
    return names


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "pycon")], ids=lambda page: page.stem
)
def test_sessions_print_what_the_page_shows(page: Path) -> None:
    text = "".join(blocks(page, "pycon"))
    runner = doctest.DocTestRunner()
    result = runner.run(doctest.DocTestParser().get_doctest(text, {}, page.name, page.name, 0))
    assert result.attempted > 5
    assert not result.failed


def test_no_page_has_python_that_is_not_run() -> None:
    """Files of the tutorial are tested below, the README's program in test_readme.py."""
    counts = {page.relative_to(ROOT).as_posix(): len(blocks(page, "python")) for page in PAGES}
    tutorials = dict.fromkeys((f"docs/tutorials/{name}.md" for name in ("train", "sweep", "predict")), 1)
    root = {"README.md": 2, "CONTRIBUTING.md": 1}
    others = {
        **root,
        "docs/losses.md": 1,
        "docs/metrics.md": 1,
        "docs/tutorials/extend.md": 4,
        "docs/how-to/export.md": 1,
    }
    assert {name: count for name, count in counts.items() if count} == {**tutorials, **others}
    assert sum(name.endswith(".py") for name in files(EXTEND)) == 4


@pytest.mark.slow
def test_the_metrics_of_the_page_give_zero_for_the_truth(capsys: pytest.CaptureFixture[str]) -> None:
    batch = example_batch(num=2, size=32)
    names = run(
        DOCS / "metrics.md",
        prediction=batch["alpha"][0, 0],
        alpha=batch["alpha"][0, 0],
        trimap=batch["trimap"][0, 0],
        predictions=batch["alpha"],
        alphas=batch["alpha"],
        trimaps=batch["trimap"],
        index=batch["index"],
    )
    assert {key: float(value) for key, value in names["metrics"].compute().items()} == {"sad": 0, "mad": 0}


@pytest.mark.parametrize(("page", "name"), [("CONTRIBUTING.md", "function"), ("docs/losses.md", "cubic")])
def test_an_own_loss_is_a_mean_of_powers(page: str, name: str) -> None:
    function = run(ROOT / page)[name]
    batch = example_batch()
    wrong = Matte(1 - batch["alpha"])
    by_hand = (np.abs(1 - 2 * batch["alpha"].numpy()) ** 2 * batch["foreground"].numpy()).mean()
    assert float(function(wrong, batch, power=2)) == pytest.approx(by_hand, rel=1e-5)


def test_a_comparison_in_python_prints_the_verdict(
    sweep: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sweep({"alpha": 10.0, "dim": 20.0}, seeds=3, name="runs/losses")
    monkeypatch.chdir(tmp_path)
    run(DOCS / "tutorials/sweep.md")
    headline, difference = capsys.readouterr().out.splitlines()
    assert "alpha" in headline
    assert {"alpha", "dim"} <= set(difference.split())
    assert float(difference.split()[-1]) < 0.05


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package of the tutorial, and its files of the configuration, where a user would have them."""
    for name, text in files(EXTEND).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(TRUSTED, "mypackage.")
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mypackage"]:
        del sys.modules[name]


def test_the_loss_of_the_tutorial_is_a_term_and_proper(package: Path) -> None:
    rows = {"cubic": {"term": "mypackage.losses:cubic", "weight": 0.5, "power": 3}}
    table = LossTable(rows, own_terms=loss_function)
    batch = example_batch()
    off = (batch["alpha"] - 0.1).clamp(0, 1)
    unknown = batch["trimap"].numpy() == 128
    by_hand = 0.5 * np.abs(off.numpy() - batch["alpha"].numpy())[unknown] ** 3
    assert float(table(Matte(off), batch).total) == pytest.approx(by_hand.mean(), rel=1e-4)
    assert float(table(Matte(batch["alpha"]), batch).total) == 0


def test_the_metric_of_the_tutorial_counts_pixels_of_one_picture(package: Path) -> None:
    own = OwnMetrics(build_metrics(compose("train", ["metrics=worst", "metrics.worst.above=0.2"])))
    batch = example_batch(num=2)
    off = batch["alpha"] + torch.tensor([0.25, 0.15]).reshape(2, 1, 1, 1)
    own.update(off, batch)
    assert [row["worst"] for row in own.per_image()] == [100, 0]
    assert own.declared == {"worst": Metric("%", higher_is_better=False)}


def test_model_and_data_of_the_tutorial_are_choices_and_fit_each_other(package: Path) -> None:
    config = compose("train", ["model=plain", "model.width=8", "data=ellipses", "data.source.num=4"])
    model, data = build(config.model, "model"), build_data(config)
    assert sum(weight.numel() for weight in model.parameters()) == (36 * 8 + 8) + (72 * 8 + 8) + (72 + 1)
    source = data.source
    assert isinstance(source, CompositionSource)
    names = [set(source.foregrounds(split).names) for split in ("train", "val", "test")]
    assert len(set.union(*names)) == 12
    first, again = (source.foregrounds("train").load(1) for _ in range(2))
    assert all((one == other).all() for one, other in zip(first, again, strict=True))
    matte = model(example_batch(num=1, size=24))
    assert matte.alpha.shape == (1, 1, 24, 24)
    torch.testing.assert_close(torch.logit(matte.alpha), matte.logit, rtol=1e-3, atol=1e-4)
    data.check(("val",))
    sample = next(iter(data.val_dataloader()))
    assert 0 < float(sample["alpha"].mean()) < 1


@pytest.mark.slow
def test_the_smallest_program_trains() -> None:
    trainer = run(DOCS / "tutorials/train.md")["trainer"]
    assert trainer.global_step == 2
    assert float(trainer.callback_metrics["val/sad"]) > 0


@pytest.mark.slow
def test_exported_files_give_one_matte(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx")
    monkeypatch.chdir(make_user_folder(tmp_path / "home", trained))
    page = DOCS / "how-to/export.md"
    for command in commands(page, "bash")[:2]:
        run_command(command, tuple, monkeypatch)
    capsys.readouterr()
    run(page)
    assert float(capsys.readouterr().out) < 1e-4


@pytest.mark.slow
def test_a_run_and_a_method_are_predictors(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(make_user_folder(tmp_path / "home", trained))
    alpha = run(DOCS / "tutorials/predict.md")["alpha"]
    assert alpha.shape == (128, 128)
    assert capsys.readouterr().out.startswith("(128, 128)")
