"""Plain tables of scores: settings named by their files, paired by image, refused in one line."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from deepmatte.cli.compare import main
from deepmatte.compare.comparison import compare_settings
from deepmatte.compare.records.csv_scores import read_score_files
from deepmatte.compare.verdict import decide
from deepmatte.errors import InputError

RNG = np.random.default_rng(0)
FIRST = RNG.gamma(4, 2, 20)
SECOND = 1.1 * FIRST + RNG.normal(0, 0.3, 20)


def write(file: Path, scores: np.ndarray, protocol: str = "adobe", order: int = 1) -> Path:
    rows = [f"i{number:02d},{protocol},{score}\n" for number, score in enumerate(scores)]
    file.write_text("image,protocol,sad\n" + "".join(rows[::order]))
    return file


def test_files_without_seeds_are_compared_image_by_image(tmp_path: Path) -> None:
    """The oracle is Student's test of the images' relative deviations (delta method for a ratio of means)."""
    files = [write(tmp_path / "ours.csv", FIRST), write(tmp_path / "theirs.csv", SECOND, order=-1)]
    (item,) = compare_settings(read_score_files(files)).decisive.differences
    assert (item.first, item.second) == ("theirs", "ours")
    deviations = SECOND / SECOND.mean() - FIRST / FIRST.mean()
    error = deviations.std(ddof=1) / math.sqrt(20)
    ratio = math.log(SECOND.mean() / FIRST.mean())
    assert item.p_adjusted == pytest.approx(2 * stats.t.sf(abs(ratio) / error, 19))
    bounds = 100 * np.expm1(stats.t.interval(0.95, 19, ratio, error))
    assert (item.percent_low, item.percent_high) == pytest.approx(tuple(bounds))


def test_the_foregrounds_that_would_confirm_a_difference_have_80_per_cent_power(tmp_path: Path) -> None:
    """The oracle is the noncentral t distribution of the paired test with that many images."""
    rng = np.random.default_rng(2)
    noisy = 1.03 * FIRST * rng.lognormal(0, 0.3, 20)
    files = [write(tmp_path / "ours.csv", FIRST), write(tmp_path / "theirs.csv", noisy)]
    comparison = compare_settings(read_score_files(files))
    (line,) = [text for text in decide(comparison).details if text.startswith("To confirm")]
    count = int(re.fullmatch(r"To confirm [\d.]+ %, take about (\d+) test foregrounds\.", line)[1])
    assert count > 20
    deviations = noisy / noisy.mean() - FIRST / FIRST.mean()
    shift = abs(math.log(noisy.mean() / FIRST.mean())) / deviations.std(ddof=1) * math.sqrt(count)
    critical = stats.t.ppf(0.975, count - 1)
    assert stats.nct.sf(critical, count - 1, shift) == pytest.approx(0.8, abs=0.03)
    assert not [text for text in decide(comparison).details if "On this test set" in text]


def test_what_score_writes_as_json_says_the_same_as_its_csv(tmp_path: Path) -> None:
    images = [{"image": f"i{number:02d}", "sad": score} for number, score in enumerate(SECOND)]
    record = {"protocol": "adobe", "mean": {}, "images": images}
    (tmp_path / "theirs.json").write_text(json.dumps(record))
    files = [write(tmp_path / "ours.csv", FIRST), tmp_path / "theirs.json"]
    first = compare_settings(read_score_files(files))
    second = compare_settings(read_score_files([files[0], write(tmp_path / "theirs.csv", SECOND)]))
    (one,), (other,) = first.decisive.differences, second.decisive.differences
    assert (one.first, one.second, one.percent) == (other.first, other.second, pytest.approx(other.percent))
    assert vars(one.estimate) == pytest.approx(vars(other.estimate))


def test_numbered_files_are_the_seeds_of_a_setting(tmp_path: Path) -> None:
    files = [write(tmp_path / f"net.v2.seed{seed}.csv", FIRST + seed / 10) for seed in (1, 0)]
    net, knn = read_score_files([*files, write(tmp_path / "knn.csv", SECOND)])
    assert (net.name, net.seeds, net.deterministic) == ("net.v2", [0, 1], False)
    assert (knn.name, knn.deterministic) == ("knn", True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("image,sad\ni00,1\n", "b.csv: lacks the image i01 and 18 more, which .*a.csv has"),
        ("image,mse\n" + "".join(f"i{n:02d},1\n" for n in range(20)), "no metric in common"),
        ("image,protocol,sad\ni00,whole,1\ni01,adobe,1\n", "scores of 2 protocols"),
        ("image,protocol,sad\n" + "".join(f"i{n:02d},whole,1\n" for n in range(20)), "adobe against whole"),
        ("image,sad\ni00,1\ni00,2\n", "b.csv has the image i00 twice"),
        ("image,sad\ni00,good\n", "b.csv has a cell without a number in column 'sad'"),
        ("name,sad\ni00,1\n", "b.csv has no column 'image'"),
        ("", "b.csv: not readable as a table of scores"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_a_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises(InputError, match=reason) as caught:
        read_score_files([write(tmp_path / "a.csv", FIRST), tmp_path / "b.csv"])
    assert "\n" not in str(caught.value)


def test_a_setting_has_numbered_seeds_or_none(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.seed0.csv", FIRST), write(tmp_path / "a.csv", FIRST)]
    with pytest.raises(InputError, match=r"both are 'a'; name seeds a\.seed0\.csv"):
        read_score_files(files)


def test_the_command_prints_a_verdict_and_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write(tmp_path / f"{name}.csv", scores) for name, scores in (("a", FIRST), ("b", SECOND))]
    assert main(["--csv", *map(str, files), "--out", str(tmp_path / "out")]) == 0
    assert "a is best in SAD" in capsys.readouterr().out
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "None" not in page.split("<script>")[0]
    with pytest.raises(SystemExit):
        main([])
    with pytest.raises(SystemExit):
        main(["runs", "--csv", "a.csv"])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"protocol": [{"a": 0}], "images": [{"image": "a", "sad": 1}]}, r"protocol=\[.*has to be a text"),
        ({"images": [{"image": "a", "sad": 1}, {"image": [{}], "sad": 2}]}, "images"),
        ({"images": [{"image": "a", "sad": 1}, {"image": None, "sad": 2}]}, "has a row without an image"),
        ({"images": [{"image": "a", "sad": {}}]}, "images"),
        ({"images": "a"}, "images=a"),
        ([1], "not readable as a table of scores"),
    ],
)
def test_json_of_other_kinds_is_refused_in_one_line(tmp_path: Path, record: object, words: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(record))
    with pytest.raises(InputError, match=rf"^[^\n]*a\.json[^\n]*{words}[^\n]*$"):
        read_score_files([file])


def test_images_that_are_numbered_in_json_are_named_by_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        json.dumps({"images": [{"image": 2, "sad": 1.0}, {"image": "x", "sad": 2.0}]})
    )
    (setting,) = read_score_files([tmp_path / "a.json"])
    assert list(setting.runs[0].images["image"]) == ["2", "x"]
