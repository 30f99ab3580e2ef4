"""The pages of the notebooks: their cells as Markdown, and the notebook itself to download."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path


def pages(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and Markdown of each notebook of a folder; outputs, if there are any, are left out."""
    for file in sorted(folder.glob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        parts = [_markdown(cell["cell_type"], "".join(cell["source"])) for cell in cells]
        parts.insert(
            1, f'<a href="{file.name}" download>Download the notebook</a>, `docs/notebooks/{file.name}`'
        )
        yield f"{file.stem}.md", "\n\n".join(parts)


def _markdown(kind: str, source: str) -> str:
    return f"```python\n{source}\n```" if kind == "code" else source
