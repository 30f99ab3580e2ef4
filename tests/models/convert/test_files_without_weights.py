"""Files that hold no weights, or those of another width: one line that says what is wrong and what to do."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from deepmatte.cli.convert import main
from deepmatte.errors import InputError

NONE = "it is no file of weights; give one that torch.save wrote, or .safetensors"
DAMAGED = "it is cut off, damaged, or of another kind; copy or download it again"
SCRIPT = "it is a TorchScript archive; save its state_dict() with torch.save"
OBJECT = "it holds objects (torch.nn.modules.linear.Linear); save the state_dict() alone where it was made"


def saved(state: object, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (9, 9)).save(stream, "png")
    return stream.getvalue()


def script() -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), stream)
    return stream.getvalue()


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("a", "b")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("junk.pth", lambda: b"174812789" * 99, NONE),
        ("text.pth", lambda: b"hello\n", NONE),
        ("a.png", picture, NONE),
        ("empty.pth", bytes, "it is empty; copy or download it again"),
        ("cut.pth", lambda: saved({"a": torch.ones(900)})[:900], DAMAGED),
        ("old.pth", lambda: saved({"a": torch.ones(900)}, zipped=False)[:900], DAMAGED),
        ("archive.pth", archive, DAMAGED),
        ("cut.safetensors", lambda: b"abc", DAMAGED),
        ("script.pt", script, SCRIPT),
        ("object.pth", lambda: saved({"model": torch.nn.Linear(1, 1)}), OBJECT),  # is never loaded
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_file_without_weights_is_named_with_what_to_do(tmp_path: Path, name, content, message) -> None:
    file = tmp_path / name
    file.write_bytes(content())
    with pytest.raises(InputError) as error:
        main(["alphagan", str(file)])
    assert str(error.value) == f"{file}: not readable as weights alone: {message}"


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    file = tmp_path / "mine.pth"
    file.write_bytes(saved({"a": torch.ones(1)}))
    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(
        InputError, match=r"mine\.pth: .* alone: Permission denied; give one that can be read$"
    ):
        main(["alphagan", str(file)])


def test_weights_of_another_width_are_named_with_what_to_do(tmp_path: Path) -> None:
    names = {"encoder.resnet50.conv_1.weight": torch.zeros(4, 6, 7, 7)}
    torch.save(names, tmp_path / "thin.pth")
    with pytest.raises(InputError) as error:
        main(["alphagan", str(tmp_path / "thin.pth")])
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'thin.pth'}: encoder.conv1.weight: is 4x6x7x7 of ")
    assert str(error.value).endswith(
        "the model has 64x4x7x7; give a whole file of the generator of CDOTAD's AlphaGAN-Matting, as wide as "
        "published, or another NAME of `deepmatte convert --list`"
    )
