"""Where sweeps run: folders of any name, places that can't be written, temporary folders of others."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path

import pytest
from disks import fill, read_only, small_disk
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from sweeping import Sweeps

from deepmatte.config.compose import quoted
from deepmatte.errors import InputError
from deepmatte.runs.directory import RunDir
from deepmatte.runs.locks import acquire, holder
from deepmatte.sweeps import devices
from deepmatte.sweeps.process import child_command, deadline, run_tree

ODD = "it's a \\ b, c=$d {e} [f] (g) #h\\"


@pytest.mark.parametrize("characters", ["'\\", "${}\\", "[],=: ", "'\"", "#()é"])
def test_hydra_reads_a_quoted_value_as_it_was(characters: str) -> None:
    """The oracle is Hydra's own parser, and OmegaConf behind it."""
    parser = OverridesParser.create()
    for word in (
        "".join(letters)
        for length in (1, 2, 3, 4)
        for letters in itertools.product(characters, repeat=length)
    ):
        value = parser.parse_override(f"key={quoted(f'/{word}')}").value()
        assert OmegaConf.create({"key": value}).key == f"/{word}"


def test_a_job_is_given_the_directory_of_its_run_whatever_its_name(tmp_path: Path) -> None:
    run = tmp_path / ODD / "x"
    (override,) = [word for word in child_command(RunDir(run)) if word.startswith("hydra.run.dir=")]
    value = OverridesParser.create().parse_override(override).value()
    assert OmegaConf.create({"dir": value}).dir == str(run)


@pytest.mark.slow
def test_a_sweep_runs_in_a_folder_of_any_name(stubbed: Sweeps) -> None:
    stubbed.home = stubbed.home / ODD
    stubbed.home.mkdir()
    code, output = stubbed.run("seed=0,1", "optimizer.lr=1e-3")
    assert code == 0, output
    assert {record["status"] for record in stubbed.records().values()} == {"finished"}
    assert len(stubbed.records()) == 2
    assert [file.name for file in stubbed.home.iterdir()] == ["runs"]


def test_a_folder_whose_name_hydra_takes_for_a_variable_is_refused_at_once(sweeps: Sweeps) -> None:
    sweeps.home = sweeps.home / "a ${b}"
    sweeps.home.mkdir()
    code, output = sweeps.run()
    assert (code, output.count("\n")) == (2, 1)
    assert "a ${b}: Hydra takes ${ in a folder's name for a variable; rename" in output
    assert list(sweeps.home.iterdir()) == []


def test_a_lock_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    with (
        read_only(tmp_path),
        pytest.raises(InputError, match=r"^[^\n]*/\.lock: can't be written \(Read-only file system\)"),
    ):
        acquire(tmp_path)
    with small_disk(tmp_path / "disk", "64k") as disk:
        (disk / "run").mkdir()
        fill(disk)
        with pytest.raises(
            InputError, match=r"^[^\n]*/run/\.lock: can't be written \(No space left on device\)"
        ):
            acquire(disk / "run")
        assert holder(disk / "run") is None


def test_a_log_that_can_not_be_written_does_not_halt_the_job(tmp_path: Path) -> None:
    """A pipe holds 64 KB; the process ends only if somebody reads what it prints."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        fill(disk)
        command = [sys.executable, "-c", "print('x\\n' * 200_000); print('the end')"]
        for log in (disk / "output.log", disk / "gone" / "output.log"):
            ended = run_tree(command, log, os.environ, stop=deadline(1))
            assert (ended.code, ended.stopped, ended.last_line) == (0, None, "the end")


def test_devices_are_leased_in_a_folder_that_nobody_else_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    theirs = tmp_path / f"deepmatte-{os.getuid()}"
    theirs.symlink_to(tmp_path)  # as anybody may do in /tmp
    assert devices.table_of_locks() == tmp_path / "runtime" / theirs.name
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        InputError, match=rf"^{theirs}: not yours, or not writable; set TMPDIR to a folder of your own"
    ):
        devices.table_of_locks()


def test_a_failed_job_of_a_sweep_names_the_full_disk(tmp_path: Path) -> None:
    """What the launcher says is the last line of the job, which `settle` records where the job could not."""
    from deepmatte.sweeps.jobs import settle
    from deepmatte.sweeps.process import Ended

    run = RunDir(tmp_path)
    line = (
        "deepmatte: x/last.ckpt: can't be written (No space left on device); make room and repeat the command"
    )
    settle(run, Ended(2, None, out_of_memory=False, last_line=line, wrote=False), config_hash="0")
    assert json.loads((tmp_path / "result.json").read_text())["error"].startswith(
        line.removeprefix("deepmatte: ")
    )
