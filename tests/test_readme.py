"""Every command of the README runs."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepmatte.batch import example_batch
from deepmatte.cli.grammar import hydra_words
from deepmatte.cli.main import call
from deepmatte.cli.verbs import VERBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", README, re.S) for line in block.splitlines() if line
]


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A folder as the README's reader has it: pictures of one's own, mattes to score, a trained run."""
    home = tmp_path_factory.mktemp("user")
    batch = example_batch(num=8, size=128)
    for i in range(8):
        layers = {
            "my_data/fg": batch["foreground"][i],
            "my_data/alpha": batch["alpha"][i],
            "my_data/bg": batch["background"][i],
            "my_photos/image": batch["image"][i],
            "my_photos/alpha": batch["alpha"][i],
            "my_photos/trimap_tight": batch["trimap"][i] / 255,
            "my_photos/trimap_loose": batch["trimap"][i] / 255,
            "mattes": batch["alpha"][i],
        }
        for folder, tensor in layers.items():
            (home / folder).mkdir(parents=True, exist_ok=True)
            pixels = (tensor * 255).round().numpy().astype(np.uint8).transpose(1, 2, 0)
            cv2.imwrite(str(home / folder / f"{i}.png"), pixels)
    for source, copy in (
        ("my_photos/image", "photo.jpg"),
        ("my_photos/trimap_tight", "trimap.png"),
        ("my_data/bg", "beach.jpg"),
        ("my_data/alpha", "mask.png"),
    ):
        cv2.imwrite(str(home / copy), cv2.imread(str(home / source / "0.png"), cv2.IMREAD_UNCHANGED))
    shutil.copytree(trained, home / "run")
    return home


@pytest.mark.slow
def test_every_command_of_the_readme_runs(user: Path, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word for word, but for overrides that make runs small; commands run in the order of the page."""
    monkeypatch.chdir(user)
    assert len(COMMANDS) >= 10
    for command in COMMANDS:
        program, verb, *words = shlex.split(command.replace("$RUN", "run"))
        assert program == "deepmatte"
        if VERBS[verb].hydra:
            _call_hydra(verb, words, tiny, monkeypatch)
        else:
            small = (
                [word for word in tiny() if not word.startswith("stages.")] + ["seeds='0'"]
                if verb == "study"
                else []
            )
            if "data=folder" in words:  # so few pictures that the hash of their names may leave a split empty
                small = ["data.source.val_fraction=0.3", "data.source.test_fraction=0.3"]
            if verb == "race":
                small = [word for word in tiny() if not word.startswith("stages.")] + ["--most", "2"]
            assert call(verb, [*words, *small]) == 0, command
    assert len(list(Path("runs/train").glob("*/result.json"))) == 5
    assert len(list(Path("runs/my_sweep").glob("*/result.json"))) == 6
    assert {file.name for file in Path("cutouts").iterdir()} == {
        "photo_alpha.png",
        "photo_cutout.png",
        "photo_composite.png",
    }
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
    alone, training = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(compile(alone, "README.md", "exec"), {"__name__": "readme"})
    assert "'grad':" in capsys.readouterr().out
    exec(compile(training, "README.md", "exec"), {"__name__": "readme"})
    assert "trivial/test/sad" in capsys.readouterr().out


def _call_hydra(verb: str, words: list[str], tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import import_module

    small = [
        word
        for word in tiny()
        if verb == "train" and not ("data=folder" in words and word.startswith("data.source."))
    ]
    if "data=folder" in words:
        small += ["data.source.val_fraction=0.3", "data.source.test_fraction=0.3"]
    monkeypatch.setattr(sys, "argv", ["deepmatte", *hydra_words(verb, words), *small])
    import_module(VERBS[verb].module).main()


def test_the_readme_names_every_verb() -> None:
    assert set(VERBS) <= {shlex.split(command)[1] for command in COMMANDS}


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, re.M), target
