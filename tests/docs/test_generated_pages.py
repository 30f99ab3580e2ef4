"""What the site makes of other files is complete: keys and comments, commands, experiments, public names."""

from __future__ import annotations

import argparse
import doctest
import html
import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from documented import ROOT
from omegaconf import OmegaConf
from site_pages import commands, configuration, experiments, links

from deepmatte.cli.verbs import VERBS

CONF = ROOT / "conf"
FILES = sorted(CONF.rglob("*.yaml"))
PAGES = dict(configuration.pages(CONF))


def section(file: Path) -> str:
    """Return the part of a page that shows a file of conf/."""
    group = file.parent.relative_to(CONF).as_posix()
    page = PAGES["index.md" if group == "." else configuration.page_of(group)]
    return page.split(f"{{#{file.stem}}}", 1)[1].split("\n## ", 1)[0]


def leaves(tree: object, path: str = "") -> dict[str, object]:
    """Return the values of a parsed file by their dotted keys; lists and empty mappings are values."""
    if not isinstance(tree, dict) or not tree:
        return {path.removesuffix("."): tree}
    return {
        key: value for name, part in tree.items() for key, value in leaves(part, f"{path}{name}.").items()
    }


def test_every_key_of_every_file_is_on_its_page_with_its_value() -> None:
    """The keys are those that OmegaConf reads, the values those that YAML makes of what the page shows."""
    count = 0
    for file in FILES:
        tree = OmegaConf.to_container(OmegaConf.load(file))
        assert isinstance(tree, dict)
        tree.pop("defaults", None)
        rows = dict(re.findall(r"^\| `([^`]+)` \| `([^`]*)` \|", section(file), re.M))
        inside = (
            ""
            if file.parent == CONF or "@package _global_" in file.read_text(encoding="utf-8")
            else (f"{file.parent.relative_to(CONF).as_posix().replace('/', '.')}.")
        )
        wanted = leaves(tree) if tree else {}
        lines = "\n".join(f"{number}: {rows[inside + key]}" for number, key in enumerate(wanted))
        shown = OmegaConf.to_container(OmegaConf.create(lines or "{}"))
        assert isinstance(shown, dict)
        assert list(shown.values()) == list(wanted.values()), file.name
        count += len(wanted)
    assert count > 800


def test_every_comment_of_every_file_is_on_its_page() -> None:
    for file in FILES:
        shown = " ".join(html.unescape(section(file)).split())
        for line in file.read_text(encoding="utf-8").splitlines():
            for words in re.findall(r"(?:^|\s)# (?!@package|----)(.+)$", line):
                assert " ".join(words.split()) in shown, (file.name, words)


def test_the_page_of_commands_has_every_verb_and_option() -> None:
    page = commands.page()
    for name, verb in VERBS.items():
        assert f"\n## {name}\n" in page
        assert all(f"\n### {name} {word}\n" in page for word in verb.words)
        module = import_module(verb.module)
        for action in module.parser()._actions if hasattr(module, "parser") else ():
            text = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
            if action.help != argparse.SUPPRESS:
                assert all(option in text for option in action.option_strings), (name, action)
    assert str(ROOT) not in page


def test_every_experiment_has_a_page_and_its_pictures() -> None:
    pages, pictures = (
        dict(experiments.pages(ROOT / "experiments")),
        experiments.pictures(ROOT / "experiments"),
    )
    assert set(pages) == {
        "index.md",
        *(file.with_suffix(".md").name for file in ROOT.glob("experiments/*.yaml")),
    }
    for page in pages.values():
        assert set(re.findall(r"!\[.*?\]\((.*?)\)", page)) <= set(pictures)


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "docs/reference/python").glob("*.md"))
    described = set(re.findall(r"^::: ([\w.]+)$", text, re.M))
    short = {name.rpartition(".")[2] for name in described}
    rooms = ("", ".classical", ".data", ".losses", ".metrics", ".metrics.functional", ".models")
    for room in rooms:
        names = {
            name for name in import_module(f"deepmatte{room}").__all__ if not name.isupper() or name == "KNN"
        }
        assert (
            names
            - {"BackgroundSet", "CompositionSource", "ForegroundSet", "ImageSet", "ImageSource"}
            - {
                "Source",
                "Split",
            }
            <= short
        ), room
    for name in described:
        module, _, own = name.rpartition(".")
        found = import_module(module)
        assert hasattr(found, own) or import_module(name), name


def test_relative_links_of_all_pages_lead_to_files_of_the_repository() -> None:
    """So that they work on a code host, too; the built site checks its own links."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("experiments/*.md")]
    made = ("reference/commands.md",)
    for page in pages:
        text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if not re.match(r"[a-z]+:", target) and not target.endswith(made):
                there = (page.parent / target).resolve()
                assert there.exists(), (page.name, target)
                assert links.place(there.relative_to(ROOT).as_posix()), (page.name, target)


@pytest.mark.parametrize("module", [configuration, links])
def test_doctests(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted
    assert not result.failed


def test_the_navigation_has_every_page_of_docs() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w/-]+\.md", str(yaml.safe_load(text)["nav"])))
    there = {file.relative_to(ROOT / "docs").as_posix() for file in (ROOT / "docs").rglob("*.md")}
    assert named == there | set(links.ROOT_PAGES.values()) | {"reference/commands.md"}
