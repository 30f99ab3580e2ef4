"""Every command of README and docs/ is one that deepmatte has; slow tests run those of the tutorials."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from documented import PAGES, ROOT, commands, files, make_user_folder, run_command, words_of
from site_pages import commands as command_pages
from site_pages import configuration

from deepmatte.cli.language import guidance
from deepmatte.cli.language.grammar import hydra_words
from deepmatte.cli.verbs import VERBS
from deepmatte.config.trust import TRUSTED

CALLS = [(page, call) for page in PAGES for call in commands(page, "bash", "text")]

RUN = [
    ROOT / "docs" / f"{name}.md"
    for name in (
        *("get-started", "tutorials/train", "tutorials/own-data", "tutorials/sweep", "tutorials/predict"),
        *("tutorials/extend", "how-to/resume", "how-to/serve", "how-to/export", "explanation/protocols"),
    )
]
"""Pages whose commands (``bash``) are run; what needs a GPU, a cluster or hours stands there as ``text``."""


def known_keys() -> set[str]:
    """Return the keys of all files of conf/, and the groups."""
    conf, keys = ROOT / "conf", {"hydra/launcher", "hydra/sweeper", "experiments"}
    for file in conf.rglob("*.yaml"):
        group = file.parent.relative_to(conf).as_posix().replace("/", ".")
        text = file.read_text(encoding="utf-8")
        above = "" if group == "." or "@package _global_" in text else f"{group}."
        keys |= {above + row.path for row in configuration.read(text).keys}
        keys |= {group}
    parts = (key.split(".") for key in keys)
    return {".".join(part[:i]) for part in parts for i in range(1, len(part) + 1)} | keys


KEYS = known_keys()


def check_override(word: str, page: Path) -> None:
    """Assert that KEY=VALUE names a key, and of a group choices that there are, or that the page makes."""
    key, _, value = word.partition("=")
    if key.startswith("+"):  # a key of the user's own
        assert key.lstrip("+").split(".")[0] in KEYS, word
        return
    folder = key if "/" in key else key.replace(".", "/")
    is_group = (ROOT / "conf" / folder).is_dir() or key == "experiments"
    if is_group and not value.startswith("["):
        own = {
            Path(file).stem for file in re.findall(rf"`{key}/\w+\.yaml`", page.read_text(encoding="utf-8"))
        }
        own |= set(re.findall(rf"# {key}/(\w+)\.yaml", page.read_text(encoding="utf-8")))
        assert {*value.split(",")} - {"NAME", "null"} <= {*guidance.choices(key)} | own, word
    own_term = key.startswith("loss.") and f"+{key.rpartition('.')[0]}=" in page.read_text(encoding="utf-8")
    assert key in KEYS or own_term or key.startswith("examine."), f"{page.name}: {word}"


@pytest.mark.parametrize("page", dict.fromkeys(page for page, _ in CALLS), ids=lambda page: page.stem)
def test_commands_name_verbs_keys_choices_and_options_that_there_are(page: Path) -> None:
    for call in commands(page, "bash", "text"):
        verb, *words = words_of(call, "runs")
        if verb.startswith("--") or verb == "VERB":
            continue
        if VERBS[verb].hydra:
            for word in hydra_words(verb, words):
                if re.match(r"[\w+./]+=", word) and not word.startswith(("run=", "resume=")):
                    check_override(word, page)
            continue
        options = [word for word in words if word.startswith("--")]
        inner = words[:1] if VERBS[verb].words else []
        text = command_pages.printed([verb, *inner, "--help"])
        assert set(inner) <= set(VERBS[verb].words), call
        assert all(re.search(rf"{option}\b", text) for option in options), call
        if verb not in ("data", "convert"):
            parser = import_module(VERBS[verb].module).parser()
            parser.parse_args(words) if inner else parser.parse_intermixed_args(words)
        for word in words if verb == "data" else ():
            if re.match(r"[\w.]+=", word):
                check_override(word, page)


def test_the_make_targets_of_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M)) <= targets, page.name


def test_there_are_commands_on_every_page_that_is_run() -> None:
    assert all(commands(page, "bash") for page in RUN)
    assert len(CALLS) > 80


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS, ids=lambda value: value.stem if isinstance(value, Path) else "")
def test_every_configuration_of_the_pages_can_be_composed(
    call: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of training and evaluation, as Hydra composes them; a sweep by the first value of each list."""
    from deepmatte.config.compose import compose

    page, command = call
    verb, *words = words_of(command)
    if verb not in ("train", "evaluate"):
        return
    monkeypatch.chdir(tmp_path)
    only_named = dict.fromkeys(re.findall(r"# (\w+/\w+\.yaml)", page.read_text(encoding="utf-8")), "{}")
    for name, text in {**only_named, **files(page)}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "runs/my_sweep").mkdir(parents=True)
    overrides = [
        re.sub(r"=([\w.+-]+),.*", r"=\1", word)
        for word in hydra_words(verb, words)
        if not word.startswith("-") and word != "job" and "interval(" not in word
    ]
    assert compose(verb, overrides)


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A folder as a reader has it."""
    return make_user_folder(tmp_path_factory.mktemp("reader"), trained)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page: Path, user: Path, tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, word for word but for overrides that make runs small."""
    monkeypatch.chdir(user)
    monkeypatch.syspath_prepend(str(user))
    monkeypatch.setenv(TRUSTED, "mypackage.")
    for name, text in files(page).items():
        if "root: ${" not in text:  # a layout that the page only describes
            (user / name).parent.mkdir(parents=True, exist_ok=True)
            (user / name).write_text(text, encoding="utf-8")
    for command in commands(page, "bash"):
        run_command(command, tiny, monkeypatch)
