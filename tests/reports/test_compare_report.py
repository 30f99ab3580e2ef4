"""What is written: page, Markdown, CSV, figures; breakdowns against sums done by hand; W&B's part."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from unittest.mock import create_autospec

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image
from simulated_runs import shares, write_run

from deepmatte.compare.breakdowns import breakdowns
from deepmatte.compare.comparison import Comparison, compare
from deepmatte.compare.record import as_record
from deepmatte.compare.records.reading import read_run
from deepmatte.compare.records.remote import local_paths
from deepmatte.errors import InputError
from deepmatte.reports.curves import MOST_POINTS, read_curves
from deepmatte.reports.drawing import STYLE, Drawing
from deepmatte.reports.figures import draw_fronts
from deepmatte.reports.gallery import make_gallery
from deepmatte.reports.page import render_markdown
from deepmatte.reports.report import write_report
from deepmatte.reports.score_figures import draw_scores

EVIL = "</script><script>alert(1)</script>|$x$"


def write_pictures(run: Path, error: int) -> None:
    """Two pictures of a ramp; the matte is ``error`` too large where 0 < alpha < 255."""
    folder = run / "pictures" / "test"
    folder.mkdir(parents=True)
    alpha = np.tile(np.clip(np.arange(40) * 12 - 100, 0, 255), (30, 1)).astype(np.uint8)
    unknown = (alpha > 0) & (alpha < 255)
    parts = {
        "image": np.stack([alpha] * 3, axis=-1),
        "alpha": alpha,
        "matte": np.where(unknown, np.minimum(alpha + error, 255), alpha).astype(np.uint8),
    }
    for name in ("0000", "0004"):
        for part, picture in parts.items():
            Image.fromarray(picture).save(folder / f"{name}_{part}.png")


@pytest.fixture(scope="module")
def sweep_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report") / "sweep"
    rng = np.random.default_rng(0)
    for number, (loss, lr, mean) in enumerate(
        [("alpha", "1", 9), (EVIL, "1", 14), ("alpha", "2", 10), (EVIL, "2", 11)]
    ):
        for seed in range(2):
            scores = mean + np.repeat(rng.gamma(4, 1, 4), 4) + rng.normal(0, 0.2)
            run = write_run(
                directory / f"{number}{seed}", [f"loss={loss}", f"lr={lr}"], seed, scores, parts=True
            )
            write_pictures(run, 5 * (number + 1))
            rows = "".join(
                f"{step // 10},{step},{1 / (1 + step)},\n{step // 10},{step},,{mean}\n" for step in range(500)
            )
            (run / "metrics.csv").write_text("epoch,step,train/loss,val/sad\n" + rows)
            curve_rows = "".join(f"{radius},0.2,{mean + radius}\n" for radius in (0, 5, 10))
            (run / "evaluations" / "robust").mkdir(parents=True)
            (run / "evaluations" / "robust" / "robustness.csv").write_text(
                "radius,unknown,sad\n" + curve_rows
            )
    write_run(directory / "failed", [f"loss={EVIL}"], 0, None, {"status": "failed", "error": EVIL})
    return directory


@pytest.fixture(scope="module")
def comparison(sweep_dir: Path) -> Comparison:
    return compare([sweep_dir])


@pytest.fixture(scope="module")
def written(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report") / "out"
    write_report(comparison, directory)
    return directory


class Tags(HTMLParser):
    """Collects the start tags of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_page_is_one_file_that_refers_to_nothing_outside(written: Path) -> None:
    tags = Tags()
    tags.feed((written / "comparison.html").read_text())
    links = [
        (tag, value)
        for tag, attributes in tags.found
        for key, value in attributes.items()
        if key in ("src", "href", "xlink:href", "data")
    ]
    runs = [value for tag, value in links if not value.startswith(("#", "data:"))]
    assert {tag for tag, value in links if value in runs} == {"a"}, "links request nothing before a click"
    assert len(runs) == 8
    assert all((written / run / "result.json").is_file() for run in runs)
    names = [tag for tag, _ in tags.found]
    assert names.count("script") == 2, "the data and the program; nothing that a configuration brought in"
    assert names.index("section") < names.index("table"), "the verdict comes first"


def test_ids_are_unique_although_many_figures_share_a_page(written: Path) -> None:
    tags = Tags()
    tags.feed((written / "comparison.html").read_text())
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_figure_of_the_markdown_is_there(written: Path) -> None:
    text = (written / "comparison.md").read_text()
    links = re.findall(r"\]\((figures/\w+\.png)\)", text)
    expected = {"scores", "differences", "effects", "interactions", "fronts", "curves"}
    expected |= {"by_alpha", "by_border", "by_width", "by_category", "by_dilation"}
    assert {Path(link).stem for link in links} == expected
    for link in links:
        with Image.open(written / link) as picture:
            assert picture.width == 1080
    assert "<script>" not in text


def test_markdown_tables_have_as_many_cells_in_every_row(written: Path) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", (written / "comparison.md").read_text(), flags=re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(cells) == 1, table


@pytest.mark.parametrize("baseline", [None, "loss=alpha, lr=2"])
def test_secondary_metrics_stand_beside_the_reference_with_the_intervals_of_the_record(
    sweep_dir: Path, baseline: str | None
) -> None:
    """As `compare --json` has them; where it has the reverse difference, one over its ratio."""
    found = compare([sweep_dir], baseline=baseline)
    record = as_record(found)
    text = render_markdown(found, [], [], "figures")
    table = re.search(r"^\| secondary, beside .*\n\|-.*\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    assert table is not None
    rows = [re.split(r" \| ", row.strip("| ")) for row in table[1].splitlines()]
    others = [score.setting for score in found.decisive.scores if score.setting != found.reference]
    names = [name for name in found.metrics if name != "sad"]
    for column, name in enumerate(names, start=1):
        known = {(i["first"], i["second"]): i for i in record["metrics"][name]["differences"]}
        for setting, row in zip(others, rows, strict=True):
            item = known.get((setting, found.reference))
            if item:
                wanted = [item[key] for key in ("percent", "percent_low", "percent_high")]
            else:
                assert baseline is None
                item = known[found.reference, setting]
                ratios = [1 + item[key] / 100 for key in ("percent", "percent_high", "percent_low")]
                wanted = [100 / ratio - 100 for ratio in ratios]
            shown = [float(number) for number in re.findall(r"[+-][\d.]+", row[column])]
            assert shown == pytest.approx(wanted, rel=0.06), (name, setting)


@pytest.mark.parametrize(("seeds", "warns"), [(2, True), (3, False)])
def test_pages_of_two_seeds_say_where_their_p_is_too_small(tmp_path: Path, seeds: int, warns: bool) -> None:
    rng = np.random.default_rng(0)
    for loss, seed in product(("alpha", "dice"), range(seeds)):
        write_run(tmp_path / "sweep" / f"{loss}{seed}", [f"loss={loss}"], seed, rng.gamma(4, 1, 16))
    write_report(compare([tmp_path / "sweep"]), tmp_path / "out")
    text = "With two seeds of each setting p is too small where settings vary very unlike"
    pages = [file.read_text() for file in (tmp_path / "out").iterdir() if file.suffix in (".md", ".html")]
    assert [text in page for page in pages] == 2 * [warns]


def test_csv_holds_all_metrics_and_nothing_is_left_half_written(
    written: Path, comparison: Comparison
) -> None:
    scores = pd.read_csv(written / "scores.csv")
    assert len(scores) == 4 * 5
    assert len(pd.read_csv(written / "differences.csv")) == 6 * 5
    best = scores[(scores["metric"] == "sad") & (scores["rank"] == 1)]
    assert best["mean"].item() == pytest.approx(comparison.decisive.table.means().min())
    assert not [file for file in written.rglob("*") if file.name.startswith(".")]


def test_parts_of_sad_add_up_to_sad_in_every_breakdown_by_bins(comparison: Comparison) -> None:
    parts = {part.name: part for part in breakdowns(comparison)}
    assert set(parts) == {"alpha", "border", "width", "category", "dilation"}
    assert parts["border"].bins == ["0-2", "2-4", "4-8", "8-16", "16-32", "32+"]
    for setting in comparison.settings:
        sad = np.mean([run.result["scores"]["test/sad"] for run in setting.runs])
        for name in ("alpha", "border", "width"):
            assert parts[name].values[setting.name] == pytest.approx(
                sad * np.array(list(shares(name).values()))
            )
            assert parts[name].values[setting.name].sum() == pytest.approx(sad)
    table = comparison.settings[0].runs[0].images
    glass = np.mean(
        [run.images["sad"][table["category"] == "glass"].mean() for run in comparison.settings[0].runs]
    )
    assert parts["category"].values[comparison.settings[0].name][
        parts["category"].bins.index("glass")
    ] == pytest.approx(glass)
    assert parts["dilation"].values[comparison.settings[0].name].tolist() == [9, 14, 19]


def test_parts_of_sad_are_no_metrics_and_not_drawn_where_a_run_lacks_them(tmp_path: Path) -> None:
    for loss in ("alpha", "dice"):
        write_run(tmp_path / loss, [f"loss={loss}"], 0, np.arange(8.0), parts=loss == "alpha")
    comparison = compare([tmp_path])
    assert list(comparison.metrics) == ["sad", "mse", "grad", "conn", "miou"]
    assert [part.name for part in breakdowns(comparison)] == ["category"]


def test_gallery_puts_the_most_telling_pictures_first_and_stays_small(comparison: Comparison) -> None:
    gallery = make_gallery(comparison)
    assert gallery is not None
    assert [run["setting"] for run in gallery["runs"][::2]] == [
        score.setting for score in comparison.decisive.scores
    ], "best first"
    rows = np.stack([run.images["sad"] for setting in comparison.settings for run in setting.runs])
    hardest = max(("0000", "0004"), key=lambda name: rows[:, int(name)].mean())
    assert max(gallery["pictures"], key=lambda picture: picture["hard"])["name"] == hardest
    assert all(len(picture["mattes"]) == 8 for picture in gallery["pictures"])


def test_sweep_without_pictures_and_curves_still_has_a_report(tmp_path: Path) -> None:
    for loss in ("alpha", "dice"):
        write_run(tmp_path / "sweep" / loss, [f"loss={loss}"], 0, np.arange(8.0))
    names = {drawing.name for drawing in write_report(compare([tmp_path / "sweep"]), tmp_path / "out")}
    assert names == {"scores", "differences", "fronts", "by_category"}


@pytest.mark.parametrize("draw", [draw_scores, draw_fronts])
def test_long_names_of_settings_fit_into_a_figure_and_stay_apart(
    tmp_path: Path, draw: Callable[[Comparison], Iterator[Drawing]]
) -> None:
    choices = product(("none", "batch"), ("published", "refiner", "fast_bce"), ("0", "0.5"))
    for number, (norm, step, augment) in enumerate(choices):
        words = [f"model.norm={norm}", f"step={step}", f"composition.augment={augment}"]
        write_run(tmp_path / f"{number}", words, 0, np.arange(8.0) + number)
    with mpl.rc_context(STYLE):
        (drawing,) = draw(compare([tmp_path]))
        FigureCanvasAgg(drawing.figure).draw()
        frame = drawing.figure.bbox
        texts = [
            text for text in drawing.figure.findobj(Text) if text.get_visible() and "step=" in text.get_text()
        ]
        boxes = [text.get_window_extent() for text in texts]
    assert len({text.get_text() for text in texts}) == len(texts) >= 9
    assert min(box.x0 for box in boxes) >= frame.x0
    assert max(box.x1 for box in boxes) <= frame.x1


def test_long_curve_is_thinned_to_its_last_point(sweep_dir: Path) -> None:
    curves = read_curves(read_run(sweep_dir / "00"), ["train/loss", "val/nothing"])
    assert list(curves) == ["train/loss"]
    series = curves["train/loss"]
    assert len(series) <= MOST_POINTS
    assert series.index[-1] == 499
    assert series.loc[499] == pytest.approx(1 / 500)


def test_out_that_can_not_be_written_is_named(comparison: Comparison, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*--out"):
        write_report(comparison, tmp_path / "file")


def test_wandb_group_is_fetched_as_run_directories(
    sweep_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W&B's API is replaced, with the signatures of the real classes: tests reach no server."""
    import wandb
    from wandb.apis.public import File
    from wandb.apis.public import Run as ApiRun

    def remote(directory: Path, **fields: str) -> object:
        files = []
        for name in ("result.json", "per_image.csv", "config.yaml"):
            file = create_autospec(File, instance=True)
            file.name = name
            file.download.side_effect = lambda root, replace, name=name: (Path(root) / name).write_bytes(
                (directory / name).read_bytes()
            )
            files.append(file)
        run = create_autospec(ApiRun, instance=True)
        run.configure_mock(id=directory.name, job_type="train", state="finished", **fields)
        run.files.return_value = files
        return run

    crashed = create_autospec(ApiRun, instance=True)
    crashed.configure_mock(id="crashed", job_type="train", state="crashed")
    crashed.files.return_value = []
    summary = create_autospec(ApiRun, instance=True)
    summary.configure_mock(id="summary", job_type="comparison", state="finished")
    api = create_autospec(wandb.Api, instance=True)
    api.runs.return_value = [remote(sweep_dir / "00"), remote(sweep_dir / "10"), crashed, summary]
    monkeypatch.setattr(wandb, "Api", lambda: api)
    paths = local_paths(["wandb:me/deepmatte/losses"], cache=tmp_path)
    api.runs.assert_called_once_with("me/deepmatte", filters={"group": "losses"})
    fetched = compare(paths)
    assert len(fetched.runs) == 2
    assert [(item.path.name, item.status) for item in fetched.excluded] == [("crashed", "crashed")]


def test_wandb_source_without_three_parts_is_refused() -> None:
    with pytest.raises(InputError, match="wandb:ENTITY/PROJECT/GROUP"):
        local_paths(["wandb:me/deepmatte"])


@pytest.mark.slow
def test_comparison_is_logged_to_a_summary_run_of_the_group(
    comparison: Comparison, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepmatte.reports.online import log_comparison

    monkeypatch.setenv("WANDB_MODE", "offline")
    drawings = write_report(comparison, tmp_path)
    log_comparison(comparison, drawings, tmp_path, "deepmatte")
    (record,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    leet = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", str(record)]
    text = subprocess.run([*leet, "--json"], capture_output=True, text=True, check=True).stdout
    assert '"job_type":"comparison"' in text
    assert '"run_group":"loss_combinations"' in text
    summary = subprocess.run([*leet, "--summary"], capture_output=True, text=True, check=True).stdout
    for name in (
        "comparison/page",
        "comparison/scores",
        "comparison/table_scores",
        "comparison/table_differences",
        "verdict",
        "best",
    ):
        assert name in summary
