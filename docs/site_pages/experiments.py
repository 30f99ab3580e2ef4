"""The pages of the experiments: the page that a study wrote, and the experiment's own file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from site_pages.configuration import escaped


def pages(experiments: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and Markdown of the index and of each experiment's page."""
    yield "index.md", (experiments / "README.md").read_text(encoding="utf-8")
    for file in sorted(experiments.glob("*.yaml")):
        written = file.with_suffix(".md")
        page = written.read_text(encoding="utf-8") if written.is_file() else _not_run(file)
        yield (
            written.name,
            f"{page.rstrip()}\n\n## The experiment's file {{#yaml}}\n\n`experiments/{file.name}`\n\n"
            f"```yaml\n{file.read_text(encoding='utf-8').rstrip()}\n```\n",
        )


def _not_run(file: Path) -> str:
    """Return the page of an experiment without results: the comment at the head of its file."""
    lines = [f"# {file.stem}", "", "*Not run yet.*", ""]
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            lines.append(escaped(line.removeprefix("#").strip()))
    return "\n".join(lines)


def pictures(experiments: Path) -> list[str]:
    """Return what pages show or offer beside them, by its path below the folder."""
    found = (*experiments.glob("*/*.png"), *experiments.glob("*/*.yaml"))
    return sorted(file.relative_to(experiments).as_posix() for file in found)
