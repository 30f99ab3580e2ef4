"""The house of the design: imports only go down, commands start fast, every YAML fits the code that it feeds."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deepmatte

ROOT = Path(deepmatte.__file__).parent
LAYERS = (
    {"__init__", "errors"},  # floor 0
    {"batch", "files", "trust", "interruption"},
    {"ops"},  # floor 1
    {"losses", "metrics", "models", "data", "classical"},  # floor 2
    {"config", "kinds", "report", "module", "datamodule", "locks", "lifeline", "curves"},
    {"rundir", "callbacks", "checkpoints", "checkpoint_callbacks", "targets"},
    {"build", "tracking", "baselines"},
    {"scoring"},
    {"compare"},  # floor 4
    {"run", "sweeps", "evaluation", "prediction"},
    {"studies"},
    {"cli"},  # floor 5
)


def layer(room: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS) if room in rooms)


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(file: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            names = [f"deepmatte.{alias.name}" for alias in node.names] if node.module == "deepmatte" else [node.module]
        for name in names:
            parts = name.split(".")
            if parts[0] == "deepmatte" and len(parts) > 1 and parts[1] != "__version__":
                rooms.add(parts[1])
    return rooms


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_imports_only_go_down(file: Path) -> None:
    room = room_of(file)
    for other in imported_rooms(file) - {room}:
        assert layer(other) < layer(room), f"{file.relative_to(ROOT)} imports {other}, which is not below it"


def test_there_is_no_room_without_a_subject() -> None:
    names = {part.removesuffix(".py") for file in FILES for part in file.relative_to(ROOT).parts}
    assert not names & {"utils", "common", "core", "misc", "helpers"}


@pytest.mark.parametrize("verb", [file.stem for file in (ROOT / "cli").glob("*.py")])
def test_cli_modules_import_no_torch(verb: str) -> None:
    code = f"import sys, deepmatte.cli.{verb}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_only_targets_makes_objects_of_names_and_no_pickle_is_ever_loaded() -> None:
    calls = {"instantiate": [], "import_module": [], "load": []}
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (name := ast.unparse(node.func).rpartition(".")[2]) in calls:
                calls[name].append((file.relative_to(ROOT).as_posix(), ast.unparse(node)))
    assert calls["instantiate"] == []
    # These import what they name themselves.
    constant = {"cli/main.py", "cli/train.py", "data/__init__.py", "metrics/__init__.py", "ops/foreground.py"}
    assert {file for file, _ in calls["import_module"]} - constant == {"losses/table.py", "targets.py"}
    loads = [(file, call) for file, call in calls["load"] if call.startswith("torch.")]
    assert loads
    assert all("weights_only=True" in call for _, call in loads)
    assert not [call for _, call in calls["load"] if call.startswith(("pickle.", "joblib.", "np."))]
