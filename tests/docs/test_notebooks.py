"""The notebooks run from the first cell to the last, and show what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from documented import ROOT
from site_pages import notebooks

FOLDER = ROOT / "docs/notebooks"


def printed(file: Path, folder: Path) -> tuple[str, int]:
    """Execute a notebook in a folder; return what it printed, and how many figures it drew."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.read(file, as_version=4)
    nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "".join(
        output.text for output in outputs if output.output_type == "stream" and output.name == "stdout"
    )
    return text, sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.slow
def test_train_and_compare_ends_with_a_verdict(tmp_path: Path) -> None:
    text, figures = printed(FOLDER / "train_and_compare.ipynb", tmp_path)
    assert "SAD" in text
    assert figures == 2
    assert len(list((tmp_path / "scores").glob("*.csv"))) == 4


@pytest.mark.slow
def test_predict_beats_the_trivial_matte_by_closed_form(tmp_path: Path) -> None:
    text, figures = printed(FOLDER / "predict.ipynb", tmp_path)
    rows = {line.split()[0]: line.split() for line in text.splitlines()}
    assert rows["trivial"][1] == "sad"
    assert float(rows["closed_form"][2]) < float(rows["trivial"][2])
    assert figures == 1


def test_notebooks_are_committed_without_outputs_and_shown_whole() -> None:
    pages = dict(notebooks.pages(FOLDER))
    for file in FOLDER.glob("*.ipynb"):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        assert not any(cell.get("outputs") for cell in cells)
        assert all("".join(cell["source"]) in pages[f"{file.stem}.md"] for cell in cells)
