"""The campaigns of ``make campaign``: all are listed, faults are kept and end in exit status 1."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from campaigns import __main__ as every
from campaigns import campaign, isolation

ROOT = Path(every.__file__).parents[1]


def tally(folder: Path) -> campaign.Tally:
    return campaign.Tally("fuzz", "inputs", 0, folder)


def test_every_module_with_a_main_is_a_campaign_of_make_campaign() -> None:
    with_main = {
        file.stem for file in (ROOT / "campaigns").glob("[a-z]*.py") if "def main(" in file.read_text()
    }
    assert with_main == set(every.NAMES)
    assert "campaigns $(ARGS)" in (ROOT / "Makefile").read_text()


def test_the_shortest_evidence_of_each_kind_of_fault_is_kept(tmp_path: Path, capsys) -> None:
    found = tally(tmp_path / "kept")
    assert found.finish() == 0
    for length in (9, 3, 7):
        (tmp_path / "input.bin").write_bytes(bytes(length))
        found.tried["cache"] += 1
        found.fault("ValueError in read", "how to repeat it", tmp_path / "input.bin")
    assert found.finish() == 1
    (kept,) = (tmp_path / "kept").rglob("input.bin")
    assert kept.stat().st_size == 3
    assert "how to repeat it" in (kept.parent / "what.txt").read_text()
    assert "3 inputs" in capsys.readouterr().out


@pytest.mark.parametrize(("count", "sizes"), [(5, [2, 2, 1]), (2, [2]), (0, [])])
def test_rounds_add_up_to_the_count(count: int, sizes: list[int]) -> None:
    options = argparse.Namespace(count=count, minutes=None)
    assert [size for _, size in campaign.rounds(options, 2)] == sizes


def test_what_crashes_hangs_or_takes_the_memory_is_told_apart() -> None:
    assert isolation.isolated(lambda beat: {"a": 1}, 60).result == {"a": 1}
    assert isolation.isolated(lambda beat: os.kill(os.getpid(), signal.SIGKILL), 60).code == -signal.SIGKILL
    assert isolation.isolated(lambda beat: time.sleep(60), 0.05).code is None
    assert isolation.isolated(lambda beat: len(bytearray(2**33)), 60, more_mb=256).code == 1


@pytest.mark.slow
def test_an_unknown_reader_is_refused_in_one_line() -> None:
    command = [sys.executable, "-m", "campaigns.fuzz", "--reader", "race.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "--reader race.json: there is no such reader; choose of " in line
    assert "race" in line.split("choose of ")[1].split(", ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("fuzz", "--count", "100"),
        ("hostile", "--count", "5"),
        ("memory", "--count", "8"),
        ("kills", "--count", "4", "--mode", "single"),
        ("disks", "--count", "3"),
        ("concurrency", "--count", "1", "--seconds", "2"),
        ("clocks", "--count", "3"),
        ("server", "--count", "1", "--seconds", "8"),
    ],
    ids=lambda words: words[0],
)
def test_a_short_campaign_finds_no_fault(words: tuple[str, ...], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "campaigns", *words, "--keep", str(tmp_path / "kept")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "0 faults" in done.stdout.splitlines()[-1]
