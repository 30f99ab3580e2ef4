"""What is done with a stranger's run directory: the verbs, in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException

from deepmatte.config.unknown_keys import explained
from deepmatte.errors import InputError
from deepmatte.runs.directory import RunDir


def evaluate(run: RunDir) -> None:
    """Evaluate a run."""
    from tiny_run import compose

    from deepmatte.scoring.evaluate import evaluate as score

    try:
        score(compose("evaluate", [f"run={run.path}"]))
    except OmegaConfBaseException as error:  # as the command turns it into one line
        raise InputError(explained(error, "evaluate")) from error


def predict(run: RunDir) -> None:
    """Make a predictor of a run."""
    from deepmatte.scoring.photographs.predictors import predictor_of_run

    predictor_of_run(run.path)


def resume(run: RunDir) -> None:
    """Resume a run."""
    from deepmatte.cli import train

    errors: list[BaseException] = []
    sys.argv = ["deepmatte", f"resume={run.path}"]
    train.report = errors.append  # type: ignore[assignment]
    try:
        train.run_hydra(train.main)
    except SystemExit:
        if errors:
            raise errors[0] from None


def repeat(run: RunDir) -> None:
    """Begin to repeat a job of a sweep, up to its process."""
    from unittest import mock

    from rich.console import Console

    from deepmatte.sweeps import ending

    with (
        mock.patch.object(ending, "start_tree"),
        mock.patch.object(ending, "settle", return_value={"status": "finished"}),
    ):
        ending.repeat(run, Console(quiet=True))


def compare(run: RunDir) -> None:
    """Compare the runs of a folder and write the page."""
    from deepmatte.cli.compare import main

    out = run.path.parent / "page"
    main([str(run.path), "--out", str(out)])
    for page in out.glob("*.html"):
        Scripts().check(page)


def status(run: RunDir) -> None:
    """Show the state of a sweep."""
    from deepmatte.cli.sweep import main

    main(["status", str(run.path)])


class Scripts(HTMLParser):
    """Finds scripts, handlers and elements on a page that its template has not put there."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a name could have made."""
        self.inside = tag == "script" and dict(attrs).get("type") is None
        if any(str(value).startswith("javascript:") or key.startswith("on") for key, value in attrs):
            self.found.append(f"<{tag} {attrs}>")

    def handle_data(self, data: str) -> None:
        """Note names among the scripts."""
        if self.inside and "canary" in data:
            self.found.append(data[:200])

    def check(self, page: Path) -> None:
        """Raise AssertionError where a name has become code."""
        self.feed(page.read_text(encoding="utf-8"))
        if self.found:
            raise AssertionError(f"a name became code: {self.found[0]}")


VERBS: dict[str, Callable[[RunDir], None]] = {
    "evaluate": evaluate,
    "predict": predict,
    "resume": resume,
    "repeat": repeat,
    "compare": compare,
    "status": status,
}
