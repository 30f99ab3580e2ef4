"""Which code made a run: a digest of what our modules, and a user's own, compute.

Nothing here imports torch.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import CodeType
from typing import Any

COMPUTES = ("batch.py", "ops", "losses", "metrics", "models", "classical", "data", "training")
"""The rooms of the package that decide a run's scores; the others start, show and compare runs."""

_PACKAGE = Path(__file__).parents[1]

_imported: dict[Path, str] = {}
"""What the package's files computed when this process imported them (`remember_code`)."""


def code_fingerprint(config: Mapping[str, Any]) -> str:
    """Return 16 hex digits of the code that a run of ``config`` executes.

    It covers the package's own rooms in `COMPUTES`, and the whole packages of the user's models, sources and
    loss terms that ``config`` names. Comments, docstrings and formatting don't
    count; another release of Python compiles to other digits.
    """
    digest = hashlib.sha256()
    for root in (*(_PACKAGE / room for room in COMPUTES), *_own_packages(config)):
        for file in _files(root):
            computes = _imported.get(file) or _computes(_text(file))
            digest.update(f"{file.relative_to(root.parent).as_posix()}\n{computes}\n".encode())
    return digest.hexdigest()[:16]


def remember_code() -> None:
    """From now on, give the fingerprint of the package as it is at this moment, when it has been imported.

    It is for a process whose forks execute that code, whatever becomes of the files meanwhile.
    """
    _imported.update((file, _computes(_text(file))) for room in COMPUTES for file in _files(_PACKAGE / room))


def _files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py")) if root.is_dir() else [root]


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


@cache
def _computes(text: str) -> str:
    """Return what Python makes of the text of a file; what is no Python counts as it is written."""
    try:
        tree = ast.parse(text)
        _drop_docstrings(tree)
        return _program(compile(tree, "", "exec", dont_inherit=True))
    except (SyntaxError, ValueError):
        return text


def _drop_docstrings(node: ast.Module | ast.stmt) -> None:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        if ast.get_docstring(node, clean=False) is not None:
            node.body[:1] = (
                []
                if len(node.body) > 1 or isinstance(node, ast.Module)
                else [ast.Pass(lineno=1, col_offset=0)]
            )
        for child in node.body:
            _drop_docstrings(child)


def _program(node: Any) -> str:
    """Return compiled code in text, without the places that its lines have in the file."""
    if isinstance(node, CodeType):
        parts = (node.co_code, node.co_names, node.co_varnames, node.co_argcount, node.co_kwonlyargcount)
        return f"{parts} {[_program(constant) for constant in node.co_consts]}"
    if isinstance(node, frozenset):
        return str(sorted(map(_program, node)))
    return f"({', '.join(map(_program, node))})" if isinstance(node, tuple) else repr(node)


def _own_packages(config: Mapping[str, Any]) -> list[Path]:
    """Return the folders of packages, and the files of modules, that ``config`` names and are not ours."""
    places = {}
    for name in sorted(
        {word.split(".")[0] for word in _names(config)} - {"deepmatte", "torch", "pytorch_lightning"}
    ):
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            continue
        if spec is not None and spec.submodule_search_locations:
            places[name] = Path(next(iter(spec.submodule_search_locations)))
        elif spec is not None and spec.origin and Path(spec.origin).is_file():
            places[name] = Path(spec.origin)
    return list(places.values())


def _names(node: Any) -> Iterable[str]:
    """Yield the modules that a configuration names: by ``_target_``, and by ``term: module:function``."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if isinstance(value, str) and (key == "_target_" or (key == "term" and ":" in value)):
                yield value.partition(":")[0]
            else:
                yield from _names(value)
    elif isinstance(node, list | tuple):
        for child in node:
            yield from _names(child)


def differing(record: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    """Yield which parts of two fingerprints differ, such as ``code`` and ``test data``.

    What one of them lacks can't be compared.

    >>> record = {"code": "a", "data": {"train": "x", "test": "y"}}
    >>> list(differing(record, {"code": "b", "data": {"train": "x", "test": "z"}}))
    ['code', 'test data']
    """
    if record.get("code") and own.get("code") and record["code"] != own["code"]:
        yield "code"
    known, now = record.get("data") or {}, own.get("data") or {}
    for split in known:
        if split in now and known[split] != now[split]:
            yield f"{split} data"


def retrains(reuse: str, others: Sequence[str]) -> bool:
    """Return whether a finished run is retrained under ``reuse``, given in what it differs (`differing`).

    >>> retrains("always", ["code"]), retrains("same", ["code"]), retrains("same", []), retrains("never", [])
    (False, True, False, True)
    """
    return reuse == "never" or (reuse == "same" and bool(others))


def made_with(others: Sequence[str]) -> str:
    """Return a warning in words, empty where nothing differs.

    >>> made_with(["code", "test data"]), made_with([])
    (' with other code and other test data (reuse=same retrains such runs)', '')
    """
    text = " and ".join(f"other {part}" for part in others)
    return f" with {text} (reuse=same retrains such runs)" if others else ""
