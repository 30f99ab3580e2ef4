"""Plain data of strangers are read within bounds, and what a terminal would obey is shown, not sent to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deepmatte import plain
from deepmatte.errors import InputError, one_line, visible
from deepmatte.runs.directory import RunDir

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
"""Nine lines that unfold to 9^9 words ("billion laughs")."""


@pytest.mark.parametrize("depth", [101, 10_000, 1_000_000])
def test_json_that_is_nested_too_deeply_is_a_value_error(tmp_path: Path, depth: int) -> None:
    file = tmp_path / "deep.json"
    file.write_text('{"status": ' + "[" * depth + "]" * depth + "}")
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        plain.read_json(file)
    file.rename(tmp_path / "result.json")
    with pytest.raises(InputError, match=r"^[^\n]*result\.json: not readable as JSON \(nested"):
        RunDir(tmp_path).result()


def test_what_we_write_is_not_too_deep(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"scores": [[[{"a": list(range(1000))}]]]}))
    assert plain.read_json(file) == json.loads(file.read_text())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "has an alias, *a"),
        ("[" * 500, "nested more than 100 deep"),
        ("[" * 50_000, ""),
        ("a: *a\n", "has an alias"),
        ("a: [\n", ""),
        ("\x00", ""),
    ],
)
def test_yaml_that_unfolds_is_refused_before_it_does(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / ".hydra/config.yaml"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(InputError) as refused:
        RunDir(tmp_path).config("model")
    assert "\n" not in str(refused.value)
    assert f"config.yaml: not readable as YAML ({reason}" in str(refused.value)


def test_files_that_are_too_long_for_a_record_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "MOST_BYTES", 10)
    (tmp_path / "a.json").write_text("[1, 2, 3, 4]")
    for read in (plain.read_json, plain.check_yaml):
        with pytest.raises(ValueError, match="more than a record can have"):
            read(tmp_path / "a.json")


CODES = "\x1b]0;title\x07 \x1b[2J\x9b31m\u202e\x7f\ud800"


def test_no_message_has_what_a_terminal_would_obey() -> None:
    for text in (one_line(InputError(f"{CODES}\n{CODES}")), visible(CODES)):
        assert text.isprintable()
        assert r"\x1b]0;title\x07 \x1b[2J\x9b31m\u202e\x7f\ud800" in text


def test_texts_of_a_record_have_no_codes_but_keep_their_lines(tmp_path: Path) -> None:
    error = "first\n\x1b[2Jsecond"
    (tmp_path / "result.json").write_text(
        json.dumps(
            {"status": "failed", "error": error, "overrides": [f"loss={CODES}"], "notes": {CODES: "x"}}
        )
    )
    result = RunDir(tmp_path).result()
    assert result is not None
    assert result["error"] == "first\n\\x1b[2Jsecond"
    assert "\x1b" not in json.dumps(result, ensure_ascii=False)
