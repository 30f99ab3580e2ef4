"""The index of the experiments: it says what the files say, and the one in the checkout is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepmatte.cli.study import main
from deepmatte.studies.index import render_index

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def test_the_index_of_the_checkout_is_up_to_date() -> None:
    assert (EXPERIMENTS / "README.md").read_text(encoding="utf-8") == render_index(EXPERIMENTS), (
        "run: deepmatte study --index"
    )


def test_a_row_says_question_cost_command_and_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "experiments"
    folder.mkdir()
    head = (
        "# @package _global_\n# Claim under test: a | b,\n#   or not.\n# Cost: little.\n"
        "# Command: deepmatte study {0}   (or: make)\n\n"
    )
    for name in ("b", "a", "c"):
        (folder / f"{name}.yaml").write_text(head.format(name))
    (folder / "d.yaml").write_text(f"{head.format('d').rstrip()}\n# Answer: it is,\n#   see there.\n")
    (folder / "a.md").write_text(
        "# a\n\nSeeds 0. 3 runs and 1 evaluations of methods, "
        "7 minutes on the clock, 12 minutes of machine time in all.\n"
        "\n## A wins.\n\n### More\n"
    )
    (folder / "c.md").write_text(
        "# c\n\nSeeds 0. 3 runs, 12 minutes of machine time in all.\n"
        "\n# Test set 1\n\n## C wins.\n\n### In pairs\n\nE is F.\n\n# Test set 2\n\n## D wins.\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["--index"]) == 0
    assert "experiments/README.md" in capsys.readouterr().out
    rows = [line for line in (folder / "README.md").read_text().splitlines() if line.startswith("| [")]
    assert rows == [
        "| [a](a.md) | A \\| b, or not. "
        "| 3 runs, 7 minutes on the clock, 12 minutes of machine time, as measured "
        "| `deepmatte study a` | A wins. |",
        "| [b](b.yaml) | A \\| b, or not. | little. | `deepmatte study b` | not run yet |",
        "| [c](c.md) | A \\| b, or not. | 3 runs, 12 minutes of machine time, as measured "
        "| `deepmatte study c` | C wins. E is F. D wins. |",
        "| [d](d.yaml) | A \\| b, or not. | little. | `deepmatte study d` | it is, see there. |",
    ]
