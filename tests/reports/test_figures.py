"""What the figures show, read from matplotlib's own artists: tested intervals, levels, curves, columns."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import yaml
from PIL import Image
from simulated_runs import write_run

from deepmatte.compare.comparison import Comparison, compare
from deepmatte.compare.factors import effects
from deepmatte.reports.drawing import STYLE, colours, shown_settings
from deepmatte.reports.factor_figures import draw_pairs
from deepmatte.reports.failures import failures
from deepmatte.reports.figures import draw_curves
from deepmatte.reports.pictures import picture_names
from deepmatte.reports.score_figures import draw_differences, draw_scores
from deepmatte.reports.study_figures import losses, stage_starts

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context(STYLE):
        yield


def sweep(folder: Path, means: dict[str, float], key: str = "loss") -> Comparison:
    for name, mean in means.items():
        for seed in range(2):
            scores = mean * (1 + RNG.normal(0, 0.1, 16) + RNG.normal(0, 0.02))
            write_run(folder / f"{name}{seed}", [f"{key}={name}"], seed, scores)
    return compare([folder], baseline=next(iter(means)))


def test_bars_of_scores_are_the_tested_intervals_around_the_reference(tmp_path: Path) -> None:
    comparison = sweep(tmp_path, {"alpha": 10.0, "dice": 15.0, "focal": 10.2})
    (drawing,) = draw_scores(comparison)
    axis = drawing.figure.axes[0]
    bars = {round(segment[0][1]): segment[:, 0] for segment in axis.collections[1].get_segments()}
    base = comparison.decisive.score("alpha").estimate.mean
    for row, score in enumerate(comparison.decisive.scores):
        item = comparison.decisive.between(score.setting, "alpha") if score.setting != "alpha" else None
        if item is None:
            assert row not in bars, "the reference has no difference from itself"
        else:
            assert bars[row] == pytest.approx([base + item.estimate.low, base + item.estimate.high])
            assert (bars[row][0] > base or bars[row][1] < base) == item.distinguishable
    assert axis.get_xlabel() == "SAD /1000 (↓ lower is better)"


def test_methods_and_the_trivial_matte_are_lines_that_do_not_stretch_the_axis(tmp_path: Path) -> None:
    comparison = sweep(tmp_path, {"alpha": 10.0, "dice": 15.0})  # its trivial matte has 99
    (drawing,) = draw_scores(comparison, {"closed form": 12.5})
    (axis,) = drawing.figure.axes
    assert [line.get_xdata()[0] for line in axis.lines if line.get_label() == "closed form 12.5"] == [12.5]
    texts = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert texts == ["trivial matte 99 (off the axis)", "closed form 12.5"]
    assert axis.get_xlim()[1] < 50


def test_of_many_settings_the_best_and_the_worst_have_colours_and_the_others_are_counted(
    tmp_path: Path,
) -> None:
    comparison = sweep(tmp_path, {f"s{number:02d}": 10.0 + number for number in range(14)})
    names = [score.setting for score in comparison.decisive.scores]
    assert shown_settings(comparison) == names[:5] + names[-5:]
    assert len(set(colours(comparison).values())) == 10
    for run in comparison.runs:
        (run.path / "metrics.csv").write_text("epoch,step,train/loss,val/sad\n0,0,4,\n0,1,2,\n0,1,,9\n")
    (drawing,) = draw_curves(comparison)
    assert drawing.figure.legends[0].get_texts()[-1].get_text() == "4 more in between: see the table"
    (axis,) = drawing.figure.axes  # one validation is no curve
    assert [line.get_ydata().tolist() for line in axis.lines] == [[1, 0.5]] * 10, "relative to the first loss"


def test_differences_are_in_per_cent_beside_the_margin_of_equality(tmp_path: Path) -> None:
    comparison = sweep(tmp_path, {"alpha": 10.0, "dice": 15.0})
    (drawing,) = draw_differences(comparison)
    (axis,) = drawing.figure.axes
    (item,) = comparison.decisive.differences
    (segment,) = axis.collections[0].get_segments()
    assert segment[:, 0] == pytest.approx([item.percent_low, item.percent_high])
    assert axis.patches[0].get_x() == -3
    assert axis.patches[0].get_width() == 6


def test_levels_without_an_order_are_not_joined_and_legends_are_beside_the_axes(tmp_path: Path) -> None:
    for loss in ("alpha", "dice", "focal"):
        for width in ("1", "2", "4"):
            words = [f"loss={loss}", f"model.width={width}"]
            write_run(tmp_path / f"{loss}{width}", words, 0, RNG.gamma(4, 1, 8))
    comparison = compare([tmp_path])
    assert effects(comparison.decisive.table)
    drawing = draw_pairs(comparison)
    (axis,) = drawing.figure.axes
    assert {line.get_linestyle() for line in axis.lines} == {"None"}
    drawing.figure.canvas.draw()
    assert axis.get_legend().get_window_extent().x0 >= axis.get_window_extent().x1


def write_pictures(run: Path, names: tuple[str, ...]) -> None:
    for name in names:
        for part in ("image", "alpha", "matte"):
            file = run / "pictures" / "test" / f"{name}_{part}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((9, 12, 3) if part == "image" else (9, 12), 90, np.uint8)).save(file)


def test_pictures_in_subfolders_are_found_by_their_names(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", ("glas & netz/ö_é.1", "0000"))
    write_pictures(tmp_path / "b", ("glas & netz/ö_é.1",))
    assert picture_names([tmp_path / "a", tmp_path / "b"]) == ["glas & netz/ö_é.1"]
    assert picture_names([tmp_path / "none"]) == picture_names([]) == []


def test_columns_of_failures_are_titled_by_what_they_show(tmp_path: Path) -> None:
    comparison = sweep(tmp_path, {"alpha": 10.0, "dice": 15.0})
    for run in comparison.runs:
        write_pictures(run.path, ("0000",))
    figure = failures(comparison, {"hair": "Hair"})
    titles = [axis.get_title() or axis.get_title("left") for axis in figure.axes]
    assert titles == ["Hair", "truth", "matte", "error", "", ""]


def test_stages_begin_where_their_settings_say(tmp_path: Path) -> None:
    comparison = sweep(tmp_path, {"alpha": 10.0, "dice": 15.0})
    stages = {"encoder_decoder": {"epochs": 5}, "refine": {"epochs": 0}, "joint": {"epochs": 2}}
    for run in comparison.runs:
        (run.path / ".hydra" / "config.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
        assert losses(run).empty
    assert stage_starts(comparison) == {5: ["joint"]}
    stages["refine"] = {"epochs": 1}
    for run in comparison.setting("dice").runs:
        (run.path / ".hydra" / "config.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    assert stage_starts(comparison) == {5: ["joint of alpha", "refine of dice"], 6: ["joint of dice"]}
    for run in comparison.runs:
        (run.path / ".hydra" / "config.yaml").write_text("{}")
    assert stage_starts(comparison) == {}
