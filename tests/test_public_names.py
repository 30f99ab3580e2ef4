"""Public names that packages import on first use."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest


@pytest.mark.parametrize("package", ["deepmatte", "deepmatte.data", "deepmatte.metrics"])
def test_type_checkers_and_programs_find_the_same_names_in_the_same_modules(package):
    module = import_module(package)
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    checked = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        for alias in node.names
    }
    assert set(checked) == set(module.__all__)
    for name, home in checked.items():
        assert getattr(module, name) is getattr(import_module(home), name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(ImportError, match="FolderDate"):
        from deepmatte.data import FolderDate  # noqa: F401
