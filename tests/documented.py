"""The code of the pages, README and ``docs/``, for tests that run it: fenced blocks and their commands."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
from asking import get
from serving import serving

from deepmatte.batch import example_batch
from deepmatte.cli.language.grammar import hydra_words
from deepmatte.cli.main import call
from deepmatte.cli.verbs import VERBS

ROOT = Path(__file__).parents[1]

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
"""All that is written by hand, and the pages of losses and models."""


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced blocks of a page in these languages, in order, blocks in lists included."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.S | re.M)
    return [re.sub(f"^{indent}", "", block, flags=re.M) for indent, name, block in found if name in languages]


def commands(page: Path, *languages: str) -> list[str]:
    """Return the calls of deepmatte in the blocks of these languages, a line each."""
    lines = "\n".join(blocks(page, *languages)).replace("\\\n", " ").splitlines()
    return [line for line in lines if re.match(r"(\w+=\S+ )*deepmatte ", line)]


def words_of(command: str, run: str = "run") -> list[str]:
    """Return the words after ``deepmatte``, of a command whose ``$RUN`` is ``run``."""
    words = shlex.split(command.replace("$RUN", run), comments=True)
    return words[words.index("deepmatte") + 1 :]


def files(page: Path) -> dict[str, str]:
    """Return the files that a page gives in full: a block that stands below the file's name in backquotes."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(
        r"`([\w/]+\.(?:py|yaml))`(?:(?!\n\n)[^`])*:\n\n```(?:python|yaml)\n(.*?)^```$", text, re.S | re.M
    )
    return dict(found)


def make_user_folder(home: Path, trained: Path) -> Path:
    """Fill the folder of a reader: pictures of one's own, mattes to score, a trained run."""
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


def run_command(command: str, tiny: Callable[..., tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command word for word, but for overrides that make its runs small."""
    verb, *words = words_of(command)
    if VERBS[verb].hydra:
        _call_hydra(verb, words, tiny, monkeypatch)
        return
    if verb in ("serve", "demo"):
        with serving(*words, verb=verb) as server:
            assert get(server.port, "/health").status == 200
            assert server.stop()[0] == 0
        return
    small = (
        [word for word in tiny() if not word.startswith("stages.")] + ["seeds='0'"] if verb == "study" else []
    )
    if "data=folder" in words:  # so few pictures that the hash of their names may leave a split empty
        small = ["data.source.val_fraction=0.3", "data.source.test_fraction=0.3"]
    if verb == "race":
        small = [word for word in tiny() if not word.startswith("stages.")] + ["--most", "2"]
    assert call(verb, [*words, *small]) == 0, command


def _call_hydra(
    verb: str, words: list[str], tiny: Callable[..., tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = list(tiny()) if verb == "train" else []
    if not any(word.startswith("data=procedural") for word in words) and any(
        word.startswith("data=") for word in words
    ):
        small = [word for word in small if not word.startswith("data.source.")]
    if any(word.startswith("model=") for word in words):
        small = [word for word in small if not word.startswith(("model.", "stages."))] + ["length.epochs=1"]
    if "data=folder" in words:
        small += ["data.source.val_fraction=0.3", "data.source.test_fraction=0.3"]
    given = hydra_words(verb, words)
    options = next((i for i, word in enumerate(given) if word.startswith("--")), len(given))
    monkeypatch.setattr(sys, "argv", ["deepmatte", *given[:options], *small, *given[options:]])
    import_module(VERBS[verb].module).main()
