"""MkDocs' hooks: add the pages that are made of other files, mend links, check what was built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from site_pages import built, commands, configuration, experiments, links, notebooks

ROOT = Path(__file__).parents[1]


def made_pages() -> dict[str, str]:
    """Return the Markdown of each page that is no file of ``docs/``, by its path on the site."""
    made = {f"reference/configuration/{name}": page for name, page in configuration.pages(ROOT / "conf")}
    made |= {f"experiments/{name}": page for name, page in experiments.pages(ROOT / "experiments")}
    made |= {f"notebooks/{name}": page for name, page in notebooks.pages(ROOT / "docs/notebooks")}
    made |= {there: (ROOT / path).read_text(encoding="utf-8") for path, there in links.ROOT_PAGES.items()}
    return {**made, "reference/commands.md": commands.page()}


def on_config(config: Any) -> Any:
    """Fill in the sections of the navigation that name a folder of made pages."""
    names = list(made_pages())

    def filled(entry: Any) -> Any:
        if isinstance(entry, list):
            return [filled(part) for part in entry]
        if isinstance(entry, dict):
            return {title: filled(part) for title, part in entry.items()}
        return entry if entry.endswith(".md") else [name for name in names if name.startswith(f"{entry}/")]

    config["nav"] = filled(config["nav"])
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the made pages, and the pictures of the experiments."""
    for name, page in made_pages().items():
        files.append(File.generated(config, name, content=page))
    for picture in experiments.pictures(ROOT / "experiments"):
        source = str(ROOT / "experiments" / picture)
        files.append(File.generated(config, f"experiments/{picture}", abs_src_path=source))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make of a file of the repository a page of the site: its links and lists."""
    name = page.file.src_uri
    return links.widened(links.site_links(markdown, links.repository_path(name, ROOT), name))


def on_post_build(config: Any) -> None:
    """Refuse a site with dead links, or one that would ask another server for anything."""
    found = built.problems(Path(config["site_dir"]))
    if found:
        raise PluginError("\n".join([f"{len(found)} problems of the built site:", *found[:40]]))
