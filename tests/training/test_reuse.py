"""A finished run is reused, or retrained on request; what it was made with is recorded and compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest


def result(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def pretend(run: Path, **fingerprint: object) -> None:
    """Make the run one of other code or data."""
    record = result(run)
    record["fingerprint"] |= fingerprint
    record["scores"]["test/sad"] = -1.0  # a mark: a retrained run does not have it
    (run / "result.json").write_text(json.dumps(record))


@pytest.mark.slow
def test_finished_runs_say_what_changed_and_are_retrained_on_request(
    train_tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    first = train_tiny(run)
    assert re.fullmatch(r"[0-9a-f]{16}", first["fingerprint"]["code"])
    assert set(first["fingerprint"]["data"]) == {"train", "val", "test"}

    pretend(run)
    assert train_tiny(run, "reuse=same")["scores"]["test/sad"] == -1.0  # nothing has changed
    assert "other" not in capsys.readouterr().out

    data = first["fingerprint"]["data"] | {"train": "0" * 16}
    pretend(run, code="0" * 16, data=data)
    assert train_tiny(run)["scores"]["test/sad"] == -1.0
    assert (
        "was finished before with other code and other train data (reuse=same retrains"
        in capsys.readouterr().out
    )

    again = train_tiny(run, "reuse=same")
    assert again["fingerprint"] == first["fingerprint"]
    assert again["scores"] == first["scores"]
