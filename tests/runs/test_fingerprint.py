"""What counts as other code: what is computed, not how it is written down; ours, and the user's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deepmatte.runs import fingerprint
from deepmatte.runs.fingerprint import code_fingerprint

CONFIG = {
    "model": {"_target_": "mine.nets.Net"},
    "loss": {"cubic": {"term": "mine.losses:cubic", "weight": 1}},
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own package, importable."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "losses.py").write_text(
        '"""Losses."""\n\ndef cubic(matte, batch):\n    """Cube."""\n    return 3  # three\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_comments_docstrings_and_formatting_do_not_count(package: Path) -> None:
    before = code_fingerprint(CONFIG)
    (package / "losses.py").write_text("def cubic(\n    matte, batch,\n):\n    return (3)\n")
    assert code_fingerprint(CONFIG) == before


def test_an_edited_loss_of_ones_own_counts(package: Path) -> None:
    before = code_fingerprint(CONFIG)
    (package / "losses.py").write_text("def cubic(matte, batch):\n    return 300\n")
    assert code_fingerprint(CONFIG) != before


def test_a_new_module_counts_and_another_package_does_not(package: Path) -> None:
    before = code_fingerprint(CONFIG)
    (package.parent / "others.py").write_text("x = 1\n")
    assert code_fingerprint(CONFIG) == before
    (package / "nets.py").write_text("class Net: ...\n")
    assert code_fingerprint(CONFIG) != before
    assert code_fingerprint({}) == code_fingerprint(
        {"model": {"_target_": "deepmatte.models.DeepImageMatting"}}
    )


@pytest.mark.parametrize(("file", "counts"), [("losses/regression.py", True), ("reports/page.py", False)])
def test_the_packages_own_rooms_count_where_they_decide_scores(
    file: str, counts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "deepmatte"
    shutil.copytree(fingerprint._PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "_PACKAGE", copy)
    before = code_fingerprint({})
    (copy / file).write_text((copy / file).read_text() + "\nCHANGED = 1\n")
    assert (code_fingerprint({}) != before) == counts


def test_a_process_that_remembers_its_code_keeps_the_fingerprint_of_what_it_imported(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its forks execute that, whatever the file says by now; each job imports a user's package itself."""
    copy = tmp_path / "deepmatte"
    shutil.copytree(fingerprint._PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "_PACKAGE", copy)
    monkeypatch.setattr(fingerprint, "_imported", {})
    before = code_fingerprint(CONFIG)
    fingerprint.remember_code()
    assert code_fingerprint(CONFIG) == before
    (copy / "batch.py").write_text("CHANGED = 1\n")
    assert code_fingerprint(CONFIG) == before
    (package / "losses.py").write_text("def cubic(matte, batch):\n    return 300\n")
    assert code_fingerprint(CONFIG) != before
