"""How a job's end is recorded: its last error line, never an earlier one; memory, if that was the cause."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from rich.console import Console

from deepmatte.errors import InputError
from deepmatte.files import write_text
from deepmatte.runs.directory import RunDir
from deepmatte.runs.locks import acquire
from deepmatte.sweeps import jobs, launcher, search, sweep_file
from deepmatte.sweeps.devices import DeviceLease, demand, lease_devices, named_devices, processes
from deepmatte.sweeps.jobs import SweepStoppedError, settle
from deepmatte.sweeps.process import Ended, run_tree
from deepmatte.sweeps.status import JobState, most_telling, sweep_costs
from deepmatte.sweeps.tasks import Tasks


def test_the_last_line_of_a_job_that_left_no_word_is_its_error(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    log.write_text("of an earlier start\n")
    ended = run_tree(
        ["sh", "-c", "echo epoch 1; echo deepmatte: no such folder; echo; exit 2"],
        log,
        {"PATH": "/usr/bin:/bin"},
    )
    assert settle(RunDir(tmp_path), ended)["error"] == "no such folder (exit code 2); see output.log"
    silent = run_tree(["sh", "-c", "exit 3"], log, {"PATH": "/usr/bin:/bin"})
    assert (
        settle(RunDir(tmp_path / "silent"), silent)["error"]
        == "the process ended with exit code 3; see output.log"
    )


def test_a_job_that_is_refused_does_not_keep_the_word_of_its_earlier_start(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.update(status="interrupted", error="the sweep was stopped")
    recorded = settle(run, Ended(2, None, False, "deepmatte: /gone: no such folder", wrote=False))
    assert (recorded["status"], recorded["error"]) == (
        "failed",
        "/gone: no such folder (exit code 2); see output.log",
    )
    run.update(status="failed", error="ValueError: its own word")
    assert settle(run, Ended(1, None, False, "a line of another rank"))["error"] == "ValueError: its own word"


@pytest.mark.parametrize(
    ("error", "is_of_memory"),
    [
        ("RuntimeError: Read error [127.0.0.1]:8095: Connection reset by peer", True),
        ("RuntimeError: DataLoader worker (pid(s) 7) exited unexpectedly", True),
        ("RunError: the loss is not finite", False),
    ],
)
def test_a_lost_rank_is_put_down_to_memory_only_where_the_system_killed_for_it(
    error: str, is_of_memory: bool, tmp_path: Path
) -> None:
    run = RunDir(tmp_path)
    run.update(status="failed", error=error)
    assert settle(run, Ended(1, None, out_of_memory=False))["error"] == error
    recorded = settle(run, Ended(1, None, out_of_memory=True))["error"]
    assert recorded.startswith("out of memory: the system killed a process") == is_of_memory
    assert error in recorded


def test_a_search_is_refused_where_objectives_and_directions_do_not_fit_or_another_launcher_is_at_it(
    tmp_path: Path,
) -> None:
    def config(direction: object, objectives: list[str] | None) -> object:
        sweep = {"objectives": objectives, "trials": 2}
        return OmegaConf.create(
            {
                "objective": "val/sad",
                "sweep": sweep,
                "hydra": {"sweep": {"dir": str(tmp_path)}, "sweeper": {"direction": direction}},
            }
        )

    two = ["minimize", "minimize"]
    search.check_objectives(config("minimize", None))
    search.check_objectives(config(two, ["val/sad", "cost/seconds"]))
    for direction, objectives in ((two, None), ("minimize", ["val/sad", "cost/seconds"])):
        with pytest.raises(InputError, match="hydra/sweeper=pareto for two"):
            search.check_objectives(config(direction, objectives))
    with pytest.raises(InputError, match="no run has val/nosuch"):
        search.check_objectives(config("minimize", ["val/nosuch"]))
    with acquire(tmp_path, "search.lock"), pytest.raises(InputError, match="is running this search"):
        search.open_search(config("minimize", None))


@pytest.mark.parametrize(
    ("devices", "ids"),
    [(2, []), ("auto", []), (-1, []), ([0, 1], ["0", "1"]), ("4,5", ["4", "5"]), ("3,", ["3"]), ("3", [])],
)
def test_devices_that_a_run_names_are_counted(devices: object, ids: list[str]) -> None:
    config = OmegaConf.create({"trainer": {"devices": devices}})
    assert named_devices(config) == ids
    assert processes(config) == (2 if devices == 2 else max(1, len(ids)))


@pytest.mark.parametrize(
    ("launcher", "devices", "said"),
    [
        ("BasicLauncher", [0, 7], "there is no gpu 7 here"),
        ("JoblibLauncher", [0, 1], "give the number per job"),
        ("BasicLauncher", [0, 1], None),
    ],
)
def test_devices_that_are_absent_or_leased_can_not_be_named(
    launcher: str, devices: list[int], said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    config = OmegaConf.create(
        {"trainer": {"accelerator": "gpu", "devices": devices}, "sweep": {"devices": "auto"}}
    )
    hydra = OmegaConf.create({"launcher": {"_target_": f"hydra.{launcher}", "n_jobs": 2}})
    if said is None:
        assert demand(config, hydra) == ("none", [], 0)
        return
    with pytest.raises(InputError, match=said):
        demand(config, hydra)


def test_a_job_that_waited_for_devices_does_not_start_where_its_sweep_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The devices of a sweep that was killed get free, and what is left of it must not take them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    asked: list[str] = []

    def ended() -> None:
        asked.append("is there still something to do?")
        raise SweepStoppedError("the launcher is gone")

    with pytest.raises(SweepStoppedError, match="gone"), lease_devices("gpu", ["0"], 1, waiting=ended):
        pytest.fail("a job was started")
    assert len(asked) == 1
    with lease_devices("gpu", ["0"], 1, waiting=lambda: None) as lease:  # it was given back
        assert lease.ids == ("0",)


def test_a_small_screen_shows_what_runs_then_what_failed_then_what_is_finished() -> None:
    states = ["finished"] * 4 + ["failed"] * 2 + ["running"] + ["waiting"] * 4
    jobs = [JobState(str(number), "", state) for number, state in enumerate(states)]
    assert [job.state for job in most_telling(jobs, 1)] == ["running"]
    assert [job.state for job in most_telling(jobs, 4)] == ["failed", "running"]
    assert [job.state for job in most_telling(jobs, 9)] == [
        "finished",
        "finished",
        "failed",
        "failed",
        "running",
    ]
    assert most_telling(jobs, 99) == jobs


def test_the_estimate_is_the_jobs_left_times_the_time_of_the_finished_and_costs_add_up(
    tmp_path: Path,
) -> None:
    """Four jobs, two at a time; the first took 10 s on two devices: three are left, in two rounds of 10 s."""
    names = ["a", "b", "c", "d"]
    sweep_file.write(
        tmp_path,
        {
            "parallel": 2,
            "started": "2026-01-01T00:00:00+00:00",
            "jobs": [{"run": name, "overrides": []} for name in names],
        },
    )
    assert sweep_file.estimate(tmp_path) == "0 of 4 jobs finished; time left is estimated after the first"
    cost = {"seconds": 10.0, "device_seconds": 20.0, "peak_memory_mb": 300.0}
    RunDir(tmp_path / "a").update(status="finished", cost=cost)
    assert sweep_file.estimate(tmp_path) == "1 of 4 jobs finished; about 20 s left (3 x 10 s, 2 at a time)"
    RunDir(tmp_path / "b").update(status="finished", cost=cost | {"seconds": 30.0, "peak_memory_mb": 100.0})
    assert sweep_file.estimate(tmp_path) == "2 of 4 jobs finished; about 20 s left (2 x 20 s, 2 at a time)"
    sweep_costs(tmp_path, [tmp_path / "a", tmp_path / "b"])
    written = json.loads((tmp_path / "sweep.json").read_text())["cost"]
    assert {key: written[key] for key in cost} == {
        "seconds": 40.0,
        "device_seconds": 40.0,
        "peak_memory_mb": 300.0,
    }
    assert written["jobs"]["b"]["seconds"] == 30.0


def test_the_estimate_counts_the_start_up_of_the_jobs(tmp_path: Path) -> None:
    """Training took 7 s by its own record, the job 19.5 s in all: three more take 58.5 s, not 21."""
    names = ["a", "b", "c", "d"]
    sweep_file.write(tmp_path, {"parallel": 1, "jobs": [{"run": name, "overrides": []} for name in names]})
    RunDir(tmp_path / "a").update(status="finished", cost={"seconds": 7.0})
    for folder, start_up in (("0", 12.5), ("1", None)):
        (tmp_path / "jobs" / folder).mkdir(parents=True)
        (tmp_path / "jobs" / folder / "job.json").write_text(json.dumps({"run": "a", "start_up": start_up}))
    assert sweep_file.estimate(tmp_path) == "1 of 4 jobs finished; about 58 s left (3 x 20 s, 1 at a time)"


def test_a_job_measures_its_start_up_also_where_it_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a second goes by, of which the run counts 0.1 s, after the 5 s of its first start."""

    def half_a_second(run: RunDir, *arguments: object, **options: object) -> Ended:
        time.sleep(0.5)
        run.update(status="finished", scores={"val/sad": 1.0}, cost={"seconds": 5.1})
        return Ended(0, None, out_of_memory=False)

    monkeypatch.setattr(jobs, "start_tree", half_a_second)
    config = {
        "objective": "val/sad",
        "sweep": {"objectives": None, "time_limit": None, "fork": False},
        "trainer": {"devices": 1},
    }
    hydra = {
        "overrides": {"task": []},
        "runtime": {"output_dir": str(tmp_path / "jobs" / "0")},
        "sweep": {"dir": str(tmp_path)},
        "sweeper": {"_target_": "BasicSweeper"},
    }
    job = jobs.Job(OmegaConf.create(config), OmegaConf.create(hydra), RunDir(tmp_path / "a"))
    job.run.update(status="interrupted", cost={"seconds": 5.0})
    with acquire(job.run.path) as lock:
        assert jobs._carry_out(job, lock, DeviceLease(), Tasks(job.folder), Console(quiet=True)) == 1.0
    assert 0.35 <= sweep_file.start_up_seconds(tmp_path) <= 0.8
    jobs._note(job)  # as when the same command finds the run finished
    assert sweep_file.start_up_seconds(tmp_path) >= 0.35


def test_under_force_what_an_earlier_sweep_finished_is_still_to_come(tmp_path: Path) -> None:
    RunDir(tmp_path / "a").update(status="finished", cost={"seconds": 10.0})
    sweep = {"parallel": 1, "force": True, "jobs": [{"run": "a", "overrides": []}]}
    for started, done in (("2001-01-01T00:00:00+00:00", 1), ("2099-01-01T00:00:00+00:00", 0)):
        sweep_file.write(tmp_path, sweep | {"started": started})
        assert sweep_file.estimate(tmp_path).startswith(f"{done} of 1 jobs finished")


def test_a_sweep_knows_its_jobs_whatever_the_clock_says(tmp_path: Path) -> None:
    """Jobs that ended while the clock was an hour behind count, and those of earlier sweeps don't."""
    from deepmatte.sweeps.ending import SweepGuard, _notes

    def note(job: str, run: str) -> Path:
        file = tmp_path / job / sweep_file.JOB_FILE
        write_text(file, json.dumps({"run": run, "skipped": False}))
        return file

    note("0", "/runs/earlier")
    note("1", "/runs/earlier too")
    guard = SweepGuard()
    guard.earlier = _notes(tmp_path)
    for job, run in (("1", "/runs/again"), ("2", "/runs/new")):
        os.utime(note(job, run), (time.time() - 3600, time.time() - 3600))
    runs = guard._runs(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}}))
    assert set(runs) == {Path("/runs/again"), Path("/runs/new")}


def test_of_threads_that_end_in_errors_only_joblibs_dropped_jobs_are_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def lost() -> None:
        raise KeyError(12)

    def ends(name: str, failing: Callable[[], object]) -> str:
        thread = threading.Thread(target=failing, name=name)
        thread.start()
        thread.join()
        return capsys.readouterr().err

    before = threading.excepthook
    threading.excepthook = launcher._but_for_dropped_jobs
    try:
        assert ends("ExecutorManagerThread", lost) == ""
        assert "KeyError: 12" in ends("another", lost)
        assert "ZeroDivisionError" in ends("ExecutorManagerThread", lambda: 1 / 0)
    finally:
        threading.excepthook = before
