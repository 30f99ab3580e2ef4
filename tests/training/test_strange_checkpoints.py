"""Checkpoints of strangers: whatever they hold, one line says that they can't be used."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from deepmatte.errors import InputError
from deepmatte.models.weights import load_weights
from deepmatte.training.checkpoints.files import newest_checkpoint, read_checkpoint, restoring

ABOUT = {"stage": "joint", "refine": True, "scores": {"val/sad": 1.0}, "first_epoch": 0, "epochs_done": 1}
STATE: dict[str, Any] = {"epoch": 0, "global_step": 1, "loops": {}, "callbacks": {}}
WHOLE = {"deepmatte": ABOUT, "state_dict": {"model.weight": torch.zeros(1, 1)}, **STATE}
WHOLE |= {"optimizer_states": [], "lr_schedulers": []}


def saved(folder: Path, **changes: Any) -> Path:
    path = folder / "last.ckpt"
    torch.save(WHOLE | changes, path)
    return path


def test_what_we_write_is_read(tmp_path: Path) -> None:
    model = nn.Linear(1, 1, bias=False)
    load_weights(model, read_checkpoint(saved(tmp_path)), "last.ckpt")
    assert newest_checkpoint(tmp_path, mend=False)[0]["deepmatte"] == ABOUT


@pytest.mark.parametrize(
    ("about", "words"),
    [
        (None, "not a checkpoint of deepmatte"),
        ([], "not a checkpoint of deepmatte"),
        ({"stage": "joint", "scores": {}}, "has no refine"),
        (ABOUT | {"stage": 3}, "deepmatte.stage=3"),
        (ABOUT | {"scores": {"val/sad": "low"}}, "deepmatte.scores.val/sad=low"),
    ],
)
def test_what_a_checkpoint_says_of_itself_is_checked(tmp_path: Path, about: Any, words: str) -> None:
    path = saved(tmp_path, deepmatte=about)
    with pytest.raises(InputError, match=rf"^[^\n]*last\.ckpt: [^\n]*{words}[^\n]*$"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "weights",
    [
        None,
        [],
        {},
        {1: torch.zeros(1, 1)},
        {"model.weight": "x"},
        {"model.weight": torch.zeros(1, 1).to_sparse()},
    ],
)
def test_what_is_no_weights_is_said_in_one_line(tmp_path: Path, weights: Any) -> None:
    path = saved(tmp_path, state_dict=weights)
    checkpoint = read_checkpoint(path)
    with pytest.raises(InputError, match=r"^last\.ckpt: holds (no )?weights[^\n]*$"):
        load_weights(nn.Linear(1, 1, bias=False), checkpoint, "last.ckpt")


def test_an_archive_that_unpacks_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = saved(tmp_path)
    packed = tmp_path / "packed.ckpt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = bytes(30_000_000) if entry.filename.endswith("data/0") else old.read(entry)
            new.writestr(entry.filename, content)
    assert packed.stat().st_size < 100_000
    with pytest.raises(
        InputError, match=r"packed\.ckpt: not a readable checkpoint \(it would unpack to 30 MB"
    ):
        read_checkpoint(packed)


def test_what_the_trainer_can_not_restore_is_one_line_and_other_errors_are_left(tmp_path: Path) -> None:
    code = compile("raise KeyError('loops')", "site-packages/lightning/checkpoint_connector.py", "exec")
    words = r"^[^\n]*last\.ckpt: can't be resumed from \(KeyError: 'loops'\); force"
    with pytest.raises(InputError, match=words), restoring(tmp_path / "last.ckpt"):
        exec(code)
    with pytest.raises(KeyError), restoring(tmp_path / "last.ckpt"):
        raise KeyError("a defect")
