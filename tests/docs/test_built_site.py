"""The checks of the built site find planted faults, and the site has none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from documented import ROOT
from site_pages import built

GOOD = '<a href="b.html#there">b</a><img src="p.png"><a href="https://example.org">elsewhere</a>'

FAULTS = {
    '<a href="c.html">': "dead link c.html",
    '<a href="b.html#not">': "no anchor b.html#not",
    '<a href="#not">': "no anchor #not",
    '<img src="q.png">': "lacks q.png",
    '<img srcset="p.png 1x, https://example.org/p.png 2x">': "fetches https://example.org/p.png",
    '<script src="https://unpkg.com/x"></script>': "fetches https://unpkg.com/x",
    '<script src="//unpkg.com/x"></script>': "fetches //unpkg.com/x",
    '<link rel="stylesheet" href="https://fonts.googleapis.com/css">': "fetches https://fonts.googleapis.com/css",
}


def site(folder: Path, html: str, css: str = "") -> Path:
    (folder / "a.html").write_text(html)
    (folder / "b.html").write_text('<h1 id="there">b</h1>')
    (folder / "p.png").touch()
    (folder / "s.css").write_text(css)
    return folder


def test_a_sound_site_has_no_problem(tmp_path: Path) -> None:
    assert built.problems(site(tmp_path, GOOD, "p { background: url(p.png) }")) == []


@pytest.mark.parametrize("html", FAULTS)
def test_a_planted_fault_is_named(html: str, tmp_path: Path) -> None:
    assert built.problems(site(tmp_path, GOOD + html)) == [f"a.html: {FAULTS[html]}"]


def test_a_font_of_another_server_is_named(tmp_path: Path) -> None:
    css = '@font-face { src: url("https://fonts.gstatic.com/f.woff2") }'
    assert built.problems(site(tmp_path, GOOD, css)) == ["s.css: fetches https://fonts.gstatic.com/f.woff2"]


@pytest.mark.slow
@pytest.mark.skipif(
    not all(find_spec(name) for name in ("mkdocs", "material", "mkdocstrings")), reason="needs the extra docs"
)
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """The hook refuses dead links and outside requests; an anchor that is spoilt on purpose is found."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "site/search/search_index.json").is_file()
    shutil.copytree(tmp_path / "site", tmp_path / "spoilt")
    page = tmp_path / "spoilt/losses.html"
    page.write_text(page.read_text(encoding="utf-8").replace('id="dice"', 'id="ecid"'), encoding="utf-8")
    assert any(line.endswith("losses.html#dice") for line in built.problems(tmp_path / "spoilt"))
