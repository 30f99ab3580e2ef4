"""``experiments/README.md``: question, cost, command and answer of each experiment, from its files alone."""

from __future__ import annotations

import re
from pathlib import Path

from deepmatte.files import write_text
from deepmatte.reports.page import cell
from deepmatte.studies.study import header

INDEX = "README.md"
NOT_RUN = "not run yet"

HEAD = """# Experiments

Each file is a sweep and the question it answers. `deepmatte study NAME` (or `make study EXPERIMENT=NAME`)
runs it with its baselines and writes `NAME.md`; the command of an experiment in the table repeats it, and
finished runs below `runs/NAME` are not repeated. `deepmatte study NAME --page` rewrites a page from such
runs alone, without training; pages whose runs are gone keep the words and statistics of their day.
`deepmatte study --index` updates this table.

| experiment | question | cost | command | answer |
|---|---|---|---|---|
"""


def write_index(folder: Path) -> Path:
    """Write ``FOLDER/README.md`` and return it."""
    write_text(folder / INDEX, render_index(folder))
    return folder / INDEX


def render_index(folder: Path) -> str:
    """Return the index of ``FOLDER/*.yaml`` and the pages beside them."""
    return HEAD + "".join(f"{_row(file)}\n" for file in sorted(folder.glob("*.yaml")))


def _row(file: Path) -> str:
    parts = _paragraphs(file)
    page = file.with_suffix(".md")
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    name = f"[{file.stem}]({page.name})" if text else f"[{file.stem}]({file.name})"
    command = parts.get("command", f"deepmatte train experiments={file.stem}").split("   ")[0]
    claim = parts.get("claim", "")
    cells = [
        name,
        cell(claim[:1].upper() + claim[1:]),
        cell(_measured(text) or parts.get("cost", "")),
        f"`{command}`",
        cell(_answer(text) or parts.get("answer", NOT_RUN)),
    ]
    return f"| {' | '.join(cells)} |"


def _paragraphs(file: Path) -> dict[str, str]:
    """Return the paragraphs of the header by their first word: claim, cost, command."""
    parts: dict[str, str] = {}
    word = ""
    for line in header(file):
        if (found := re.match(r"(Claim|Cost|Command|Answer)[^:]*:\s*", line)) is not None:
            word = found[1].lower()
            parts[word] = line[found.end() :]
        elif word:
            parts[word] += f" {line}"
    return parts


def _measured(page: str) -> str:
    """Return the cost of the study that its page reports; empty where it reports none."""
    found = re.search(r"(\d+ runs)[^,\n]*, (.*\d+ minutes of machine time)", page)
    return f"{found[1]}, {found[2]}, as measured" if found else ""


def _answer(page: str) -> str:
    """Return the verdicts of a page: its second-level headings, one per test set, and on chosen pairs.

    Of an experiment without a page, its file can tell the answer.
    """
    verdicts = re.findall(r"^## (.+)$|^### In pairs\n\n(.+)$", page, re.MULTILINE)
    return " ".join(verdict or pairs for verdict, pairs in verdicts)
