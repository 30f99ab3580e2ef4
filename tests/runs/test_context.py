"""What a process inherits from its launcher: one record in one variable, which another process reads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import deepmatte
from deepmatte.errors import InputError
from deepmatte.runs import parent_watch
from deepmatte.runs.context import CONTEXT, LauncherContext, SweepContext

ROOT = Path(deepmatte.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "processes.md"


def test_another_process_reads_what_its_parent_wrote() -> None:
    launcher = LauncherContext("a|host", 7, "/runs/ä b/jobs/stop-1")
    context = SweepContext(parent=5, run="/runs/ä b/12345678", launcher=launcher, gpus=("0", "MIG-3"))
    code = "from deepmatte.runs.context import SweepContext; print(ascii(SweepContext.read()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | context.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ascii(context)


def test_the_page_explains_every_variable_and_every_field() -> None:
    page = PAGE.read_text(encoding="utf-8")
    sources = " ".join(file.read_text(encoding="utf-8") for file in ROOT.rglob("*.py"))
    variables = set(re.findall(r"\bDEEPMATTE_[A-Z_]+\b", sources))
    assert {name for name in variables if f"`{name}`" not in page} == set()
    fields = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE))
    assert fields == set(SweepContext.__dataclass_fields__)


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", '{"parents": 1}', '{"parent": "1; rm"}', '{"launcher": {"host": "h"}}']
)
def test_anything_else_in_the_variable_is_refused_in_one_line(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTEXT, text)
    with pytest.raises(InputError, match=rf"^{CONTEXT}: .*; unset it$"):
        SweepContext.read()


def test_the_parent_of_a_process_is_not_that_of_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent_watch, "_watch", lambda parent, grace: None)
    monkeypatch.setenv(CONTEXT, json.dumps({"parent": os.getppid(), "run": "/runs/a"}))
    parent_watch.tie_to_parent()
    assert json.loads(os.environ[CONTEXT]) == {
        "parent": None,
        "run": "/runs/a",
        "launcher": None,
        "gpus": None,
        "orders": None,
    }


def test_an_empty_context_leaves_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent_watch, "_watch", lambda parent, grace: None)
    monkeypatch.setenv(CONTEXT, json.dumps({"parent": os.getppid()}))
    parent_watch.tie_to_parent()
    assert CONTEXT not in os.environ
