"""Every command of the README runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from documented import blocks, commands, make_user_folder, run_command
from PIL import Image

from deepmatte.cli.verbs import VERBS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COMMANDS = commands(README, "bash")


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A folder as the README's reader has it: pictures of one's own, mattes to score, a trained run."""
    return make_user_folder(tmp_path_factory.mktemp("user"), trained)


@pytest.mark.slow
def test_every_command_of_the_readme_runs(user: Path, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word for word, but for overrides that make runs small; commands run in the order of the page."""
    monkeypatch.chdir(user)
    assert len(COMMANDS) >= 10
    lines = "\n".join(blocks(README, "bash")).splitlines()
    (program,) = [line for line in lines if line.startswith("python -c ")]
    subprocess.run([sys.executable, *shlex.split(program)[1:]], check=True)
    for command in COMMANDS:
        run_command(command, tiny, monkeypatch)
    assert len(list(Path("runs/train").glob("*/result.json"))) == 5
    assert len(list(Path("runs/my_sweep").glob("*/result.json"))) == 6
    assert {file.name for file in Path("cutouts").iterdir()} == {
        "photo_alpha.png",
        "photo_cutout.png",
        "photo_composite.png",
    }
    found = np.asarray(Image.open("portrait/portrait_alpha.png")).astype(float)
    shown = np.asarray(Image.open(ROOT / "docs/portrait.png").convert("L")).astype(float)[:, 536:796]
    assert np.abs(found - shown).mean() < 1, "the README shows what its command gives"
    assert Path("from_mask/photo_cutout.png").is_file()
    assert Path("photo_trimap.png").is_file()
    assert Path("photo_cutout.tiff").is_file()
    assert Path("scores.json").is_file()
    assert Path("pages/dim_two_stage.md").is_file()
    assert Path("preview.png").is_file()
    assert Path("run/evaluations/alphamatting_test/robustness.csv").is_file()


@pytest.mark.slow
def test_the_python_of_the_readme_runs(
    user: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It mattes and scores pictures in memory, and trains on one's own data set with one's own trainer."""
    monkeypatch.chdir(user)
    alone, training = blocks(README, "python")
    exec(compile(alone, "README.md", "exec"), {"__name__": "readme"})
    assert "'grad':" in capsys.readouterr().out
    exec(compile(training, "README.md", "exec"), {"__name__": "readme"})
    assert "trivial/test/sad" in capsys.readouterr().out


def test_the_readme_names_every_verb() -> None:
    assert set(VERBS) <= {shlex.split(command)[1] for command in COMMANDS}


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z-]+)", README.read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.M), target
