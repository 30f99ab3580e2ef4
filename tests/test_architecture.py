"""The house: imports only go down, as CONTRIBUTING.md prints the floors, and commands start fast."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import deepmatte

ROOT = Path(deepmatte.__file__).parent
CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"
FILES = sorted(ROOT.rglob("*.py"))


@cache
def floors() -> dict[str, int]:
    """Return the floor of each room, from the table in CONTRIBUTING.md."""
    rows = re.findall(
        r"^\| (\d+) \| `([^`]+)` \|", CONTRIBUTING.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    return {
        room.rstrip("/").removesuffix(".py"): int(floor) for floor, rooms in rows for room in rooms.split()
    }


def module_of(file: Path) -> str:
    return ".".join(("deepmatte", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module_of(file): file for file in FILES}


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Yield our modules that a file imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if (found := name if name in MODULES else node.module) in MODULES:
                    yield found


def room(module: str) -> str:
    return [*module.split("."), "__init__"][1]


def without_type_checking(tree: ast.Module) -> ast.Module:
    """Return what is executed: type checkers alone read the rest."""
    body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    return ast.Module(body, [])


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_imports_only_go_down(file: Path) -> None:
    own = room(module_of(file))
    for module in imported_modules(ast.parse(file.read_text(encoding="utf-8"))):
        other = room(module)
        if own != "__init__" and other not in (own, "__init__"):  # the package offers names of all floors
            assert floors()[other] < floors()[own], (
                f"{file.relative_to(ROOT)} imports {module}, which is not below it"
            )


def test_every_room_has_its_floor_and_no_other_has() -> None:
    there = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there - {"__init__"} == set(floors())


def test_no_modules_import_one_another_in_a_circle() -> None:
    trees = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in MODULES.items()}
    graph = {
        name: set(imported_modules(without_type_checking(tree))) - {name} for name, tree in trees.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_there_is_no_room_without_a_subject() -> None:
    names = {part.removesuffix(".py") for file in FILES for part in file.relative_to(ROOT).parts}
    assert not names & {"utils", "common", "core", "misc", "helpers"}


def test_modules_and_functions_stay_short() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert text.count("\n") <= 300, file.relative_to(ROOT)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{file.relative_to(ROOT)}: {node.name}"


def test_cli_modules_import_no_torch() -> None:
    modules = [name for name in MODULES if name.startswith("deepmatte.cli")]
    assert len(modules) > 10
    # `matte` by a classical method needs none, either.
    photographs = ("notebook", "predict", "photos", "plates", "video", "onnx_file")
    modules += [f"deepmatte.scoring.photographs.{name}" for name in photographs]
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_objects_are_made_of_names_in_one_place_and_no_pickle_is_ever_loaded() -> None:
    calls: dict[str, list[tuple[str, str]]] = {"instantiate": [], "import_module": [], "load": []}
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (name := ast.unparse(node.func).rpartition(".")[2]) in calls:
                calls[name].append((file.relative_to(ROOT).as_posix(), ast.unparse(node)))
    assert calls["instantiate"] == []
    # These import what they name themselves.
    constant = {
        "__init__.py",
        "cli/main.py",
        "cli/train.py",
        "data/__init__.py",
        "metrics/__init__.py",
        "ops/foreground.py",
    }
    assert {file for file, _ in calls["import_module"]} - constant == {"config/build.py"}
    loads = [(file, call) for file, call in calls["load"] if call.startswith("torch.")]
    assert loads
    assert all("weights_only=True" in call for _, call in loads)
    assert not [call for _, call in calls["load"] if call.startswith(("pickle.", "joblib.", "np."))]


def test_no_room_is_crowded() -> None:
    """A newcomer sees at a glance what lies side by side."""
    for folder in {file.parent for file in FILES}:
        assert len(list(folder.glob("*.py"))) <= 16, folder.relative_to(ROOT)


@pytest.mark.slow
def test_nothing_connects_to_the_network_at_import() -> None:
    """Neither we nor what we import; albumentations would ask for its newest version."""
    refuse = (
        "import socket\n"
        "def refuse(*_): raise SystemExit('a module opens a connection')\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse\n"
    )
    names = sorted(name for name in MODULES if not name.endswith("__main__"))
    code = f"{refuse}import {', '.join(names)}"
    plain = {key: value for key, value in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=plain)
    assert done.returncode == 0, done.stderr


@cache
def bound_in(module: str) -> frozenset[str] | None:
    """Return the names that a module defines or imports; None where it makes them up (``__getattr__``)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return None if "__getattr__" in names else frozenset(names)


@pytest.mark.parametrize("folder", ["benchmarks", "campaigns", "docs", "tests"])
def test_what_tools_and_tests_import_of_the_package_is_there(folder: str) -> None:
    """They import inside functions, too, where neither mypy nor a fast test would see a module that moved."""
    lost = []
    for file in sorted((CONTRIBUTING.parent / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "deepmatte":
                module = str(node.module)
                known = bound_in(module) if module in MODULES else frozenset()
                lost += [
                    f"{file.name}:{node.lineno}: {module}.{alias.name}"
                    for alias in node.names
                    if f"{module}.{alias.name}" not in MODULES
                    and known is not None
                    and alias.name not in known
                ]
    assert not [line for line in lost if "FolderDate" not in line]  # misspelt on purpose
