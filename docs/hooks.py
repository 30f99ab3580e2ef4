"""MkDocs' hooks: add the pages that are made of other files, mend links, check what was built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from site_pages import built, commands, configuration, experiments, links

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the configuration, of the commands, of the experiments, and those at the root."""
    made = {f"reference/configuration/{name}": page for name, page in configuration.pages(ROOT / "conf")}
    made |= {f"experiments/{name}": page for name, page in experiments.pages(ROOT / "experiments")}
    made |= {there: (ROOT / path).read_text(encoding="utf-8") for path, there in links.ROOT_PAGES.items()}
    made["reference/commands.md"] = commands.page()
    for name, page in made.items():
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
