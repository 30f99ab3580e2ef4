"""Where files of the repository stand on the site, and links between them.

Pages link to one another as files of the repository do, so that they read on a code host, too.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from site_pages import configuration

ROOT_PAGES = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages at the root of the repository, and what they are called on the site."""


def place(path: str) -> str | None:
    """Return where a file of the repository is on the site, with an anchor where it is a part of a page.

    >>> place("docs/losses.md"), place("conf/loss/dim.yaml"), place("src/deepmatte/files.py")
    ('losses.md', 'reference/configuration/loss.md#dim', None)
    """
    if path in ROOT_PAGES:
        return ROOT_PAGES[path]
    folder, _, name = path.rpartition("/")
    stem, _, suffix = name.rpartition(".")
    if path == "experiments/README.md":
        return "experiments/index.md"
    if path == "conf":
        return "reference/configuration/index.md"
    if folder == "experiments" and suffix == "yaml":
        return f"experiments/{stem}.md#yaml"
    if folder == "conf" and stem in configuration.PRIMARY:
        return f"reference/configuration/index.md#{stem}"
    if folder.startswith("conf/"):
        return f"reference/configuration/{configuration.page_of(folder.removeprefix('conf/'))}#{stem}"
    if folder == "conf":
        return f"reference/configuration/{configuration.page_of(name)}"
    if path.startswith("experiments/"):
        return path
    if suffix == "ipynb":
        return f"notebooks/{stem}.md"
    return path.removeprefix("docs/") if path.startswith("docs/") else None


def site_links(markdown: str, path: str, page: str) -> str:
    """Return ``markdown`` of the repository's file ``path`` with links as the site's ``page`` needs them.

    >>> site_links("[a](../conf/loss/dim.yaml)", "docs/data.md", "data.md")
    '[a](reference/configuration/loss.md#dim)'
    >>> site_links("[a](docs/data.md#splits)", "README.md", "overview.md")
    '[a](data.md#splits)'
    """

    def relinked(found: re.Match[str]) -> str:
        target, _, anchor = found[1].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        there = place(posixpath.normpath(posixpath.join(posixpath.dirname(path), target)))
        if there is None:
            return found[0]
        name, _, own = there.partition("#")
        relative = posixpath.relpath(name, posixpath.dirname(page) or ".")
        return f"]({relative}{'#' if anchor or own else ''}{anchor or own})"

    return outside_code(markdown, lambda line: re.sub(r"\]\(([^)\s]+)\)", relinked, line))


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Return ``markdown`` with every line outside of fenced code changed."""
    lines, fence = [], False
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            fence = not fence
            lines.append(line)
        else:
            lines.append(line if fence else change(line))
    return "\n".join(lines)


def widened(markdown: str) -> str:
    r"""Return ``markdown`` with lists as Python-Markdown wants them.

    What belongs to an item is indented by four, where code hosts take the width of the marker. A list that
    follows a paragraph, or an item that follows one of several paragraphs, needs an empty line before it.

    >>> print(widened("text\n- a\n  b\n\n  ```\n  c\n  ```\nd"))
    text
    <BLANKLINE>
    - a
        b
    <BLANKLINE>
        ```
        c
        ```
    d
    """
    lines, width, fence, several = [], 0, False, False
    for line in markdown.splitlines():
        marker = re.match(r"(-|\d+\.) ", line)
        if line.startswith("```") and not fence:
            width, fence = 0, True
        elif line.startswith("```"):
            fence = False
        elif not fence and marker:
            begins = width == 0 and marker[0] in ("- ", "1. ")
            if lines and lines[-1] and (begins or several):
                lines.append("")
            width, several = len(marker[0]), False
        elif not fence and line and not line.startswith(" "):
            width, several = 0, False
        elif width and not line:
            several = True
        inside = width and line.startswith(" " * width)
        lines.append(f"    {line[width:]}" if inside and not marker else line)
    return "\n".join(lines)


def repository_path(page: str, root: Path) -> str:
    """Return the file of the repository that a page of the site is made of; links resolve against it."""
    for path, there in {**ROOT_PAGES, "experiments/README.md": "experiments/index.md"}.items():
        if page == there:
            return path
    return page if (root / page).is_file() else f"docs/{page}"
