"""The words of `train`, `resume` and `evaluate`: a run is a positional argument, and Hydra gets overrides."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from deepmatte.cli.language.grammar import hydra_words
from deepmatte.errors import InputError


def value(word: str) -> object:
    """Return what Hydra itself reads as the value of an override."""
    return OverridesParser.create().parse_override(word).value()


@pytest.mark.parametrize(
    "path", ["runs/train/1a2b3c4d", "12345678", "1e10", "it's here", "a b", "${x}", "null"]
)
def test_hydra_reads_the_very_path(path: str) -> None:
    for verb in ("evaluate", "resume"):
        (word,) = hydra_words(verb, [path])
        read = value(word)
        assert isinstance(read, str) or read.text
        assert str(getattr(read, "text", read)).replace("\\$", "$") == path


def test_options_and_overrides_stay_in_place() -> None:
    words = ["--cfg", "job", "~data", "+x=1", "RUN", "data=folder", "--info"]
    assert hydra_words("evaluate", words) == [*words[:4], "run='RUN'", *words[5:]]
    assert hydra_words("evaluate", ["method=trivial", "data=folder"]) == ["method=trivial", "data=folder"]
    assert hydra_words("train", ["-m", "seed=0,1"]) == ["-m", "seed=0,1"]


def test_a_folder_with_an_equals_sign_is_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "seed=1"
    folder.mkdir()
    assert hydra_words("evaluate", [str(folder)]) == [f"run='{folder}'"]


def test_the_old_spelling_works_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert hydra_words("evaluate", ["run=runs/x", "split=val"]) == ["run=runs/x", "split=val"]
    assert capsys.readouterr().err == (
        "deepmatte: run=runs/x is the old spelling, for one more release; "
        "write `deepmatte evaluate runs/x …`\n"
    )


@pytest.mark.parametrize(
    ("verb", "words", "message"),
    [
        ("evaluate", ["a", "b"], "takes one run, but got a and b"),
        ("evaluate", ["a", "run=b"], "takes one run, but got a and run=b"),
        ("resume", [], "deepmatte resume runs/train"),
        ("train", ["."], "to resume that run: deepmatte resume ."),
        ("train", ["dice"], "'dice' is no override; give KEY=VALUE"),
        ("train", ["-m", "--loss=dice"], "--loss=dice: write loss=dice; in the command of a W&B sweep, "),
    ],
)
def test_words_that_make_no_command_are_refused(verb: str, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        hydra_words(verb, words)
