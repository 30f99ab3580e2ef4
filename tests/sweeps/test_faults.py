"""Whatever is killed, the same command ends in the weights of an undisturbed sweep; no step is made twice.

The processes, locks, files and signals are real; training is the stub of `stub_training`, whose weights
depend on the order of its steps. The number of kills is counted and asserted.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

LAUNCHERS = {
    "basic": (),
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit_local": ("hydra/launcher=submitit_local",),
}
GRID = "seed=0,1,2"
launchers = pytest.mark.parametrize("launcher", LAUNCHERS)


def weights_of_the_grid(steps: int) -> dict[str, int]:
    """The weights of the grid, by the stub's own arithmetic in this process."""
    from stub_training import weights_after

    return {f"seed={seed}": weights_after(steps, seed=seed, lr=5e-3) for seed in range(3)}


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, int]:
    """The weights of the grid after 12 steps."""
    return weights_of_the_grid(12)


def by_seed(sweeps) -> dict[str, int]:
    weights = sweeps.weights()
    return {
        f"seed={record['seed']}": weights[record["config_hash"][:8]] for record in sweeps.records().values()
    }


def checked(sweeps, undisturbed: dict[str, int]) -> None:
    """All is finished, as if nothing had happened, and no step was made twice."""
    assert {record["status"] for record in sweeps.records().values()} == {"finished"}
    assert by_seed(sweeps) == undisturbed
    assert max(sweeps.steps().values()) == 1
    assert sweeps.jobs() == []


@launchers
def test_a_killed_job_fails_alone_and_the_same_command_goes_on_with_it(
    launcher: str, stubbed, undisturbed: dict[str, int]
) -> None:
    words = (GRID, *LAUNCHERS[launcher])
    first = stubbed.start(*words, STUB_STEPS="12", STUB_PAUSE="0.3")
    stubbed.wait_for(lambda: sum(stubbed.steps().values()) >= 2)
    kills = stubbed.kill(stubbed.jobs()[:1])
    output = first.communicate(timeout=600)[0]
    assert kills == 1
    assert first.returncode == 1, output
    states = [record["status"] for record in stubbed.records().values()]
    assert sorted(states) == ["failed", "finished", "finished"]
    assert "SIGKILL" in next(
        record["error"] for record in stubbed.records().values() if record["status"] == "failed"
    )
    before = stubbed.workers()
    code, output = stubbed.run(*words, STUB_STEPS="12")
    assert code == 0, output
    assert len({pid for pid in stubbed.workers() if pid not in before}) == 1
    checked(stubbed, undisturbed)


@launchers
def test_a_killed_launcher_takes_its_jobs_along_and_the_same_command_goes_on(
    launcher: str, stubbed, undisturbed: dict[str, int]
) -> None:
    words = (GRID, *LAUNCHERS[launcher])
    first = stubbed.start(*words, STUB_STEPS="12", STUB_PAUSE="0.3")
    stubbed.wait_for(lambda: sum(stubbed.steps().values()) >= 2)
    first.kill()
    code, output = stubbed.run(*words, STUB_STEPS="12")  # at once, while the orphans are still there
    assert code == 0, output
    checked(stubbed, undisturbed)
    stubbed.wait_for(
        lambda: not stubbed.pids("loky"), seconds=30, ended=True
    )  # nor does a pool of idle workers stay behind


def test_joblib_workers_end_with_a_launcher_that_is_killed_before_their_first_job(stubbed) -> None:
    """They would wait for the job, or for the half of it that was not sent, for ever."""
    first = stubbed.start(GRID, *LAUNCHERS["joblib"])
    while first.poll() is None and not stubbed.pids("popen_loky_posix"):
        time.sleep(0.01)
    first.kill()
    stubbed.wait_for(lambda: not stubbed.pids("loky"), seconds=60, ended=True)


@launchers
def test_ctrl_c_ends_the_children_and_the_same_command_goes_on(
    launcher: str, stubbed, undisturbed: dict[str, int]
) -> None:
    words = (GRID, *LAUNCHERS[launcher])
    first = stubbed.start(*words, STUB_STEPS="12", STUB_PAUSE="0.3")
    stubbed.wait_for(lambda: sum(stubbed.steps().values()) >= 2)
    os.killpg(first.pid, signal.SIGINT)  # as a terminal does: to the workers of the launcher, too
    output = first.communicate(timeout=60)[0]
    assert first.returncode == 130, output
    assert "Traceback" not in output
    stubbed.wait_for(lambda: not stubbed.pids(), seconds=30, ended=True)
    states = {record["status"] for record in stubbed.records().values()}
    assert states <= {"interrupted", "finished"}
    code, output = stubbed.run(*words, STUB_STEPS="12")
    assert code == 0, output
    checked(stubbed, undisturbed)


def test_a_killed_worker_of_joblib_ends_the_sweep_in_words_and_the_same_command_goes_on(
    stubbed, undisturbed: dict[str, int]
) -> None:
    words = (GRID, *LAUNCHERS["joblib"])
    first = stubbed.start(*words, STUB_STEPS="12", STUB_PAUSE="0.6")
    stubbed.wait_for(lambda: sum(stubbed.steps().values()) >= 2)
    kills = stubbed.kill(stubbed.pids("popen_loky_posix"))
    output = first.communicate(timeout=600)[0]
    assert kills >= 2
    assert first.returncode == 1, output
    assert "Traceback" not in output
    assert output.strip().splitlines()[-1].startswith("deepmatte: joblib lost a worker"), output
    code, output = stubbed.run(*words, STUB_STEPS="12")
    assert code == 0, output
    checked(stubbed, undisturbed)


def test_everything_killed_again_and_again(stubbed) -> None:
    """All processes at once by SIGKILL, at random moments, 8 times while a job runs; then once in peace.

    On a busy machine the job that is seen may be one that the last kill just missed, which ends by itself.
    """
    random.seed(0)
    kills: list[int] = []
    words = (GRID, *LAUNCHERS["joblib"])
    while kills.count(0) < 8 and len(kills) - kills.count(0) < 8:
        process = stubbed.start(*words, STUB_STEPS="40", STUB_PAUSE="1.0")
        stubbed.wait_for(lambda process=process: stubbed.jobs() or process.poll() is not None)
        time.sleep(random.uniform(0.5, 3.0))
        kills.append(len(stubbed.jobs()))
        stubbed.kill(stubbed.pids())
        process.wait(timeout=30)
    code, output = stubbed.run(*words, STUB_STEPS="40")
    assert code == 0, output
    assert "start     [" in output  # something was left to the last
    assert len(kills) - kills.count(0) == 8
    checked(stubbed, weights_of_the_grid(40))


def test_two_launchers_share_a_sweep_without_running_a_job_twice(
    stubbed, undisturbed: dict[str, int]
) -> None:
    first = stubbed.start(GRID, STUB_STEPS="12", STUB_PAUSE="0.3")
    second = stubbed.start(GRID, STUB_STEPS="12", STUB_PAUSE="0.3")
    outputs = [process.communicate(timeout=600)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert sum(output.count("start     ") for output in outputs) == 3
    checked(stubbed, undisturbed)


def test_a_second_launcher_takes_up_what_a_killed_one_left(stubbed, undisturbed: dict[str, int]) -> None:
    first = stubbed.start(GRID, STUB_STEPS="12", STUB_PAUSE="0.6")
    stubbed.wait_for(lambda: sum(stubbed.steps().values()) >= 1)
    second = stubbed.start(GRID, STUB_STEPS="12")
    stubbed.wait_for(lambda: len(stubbed.records()) >= 2)  # the second has left the first's job alone
    first.kill()
    output = second.communicate(timeout=600)[0]
    assert second.returncode == 0, output
    checked(stubbed, undisturbed)


def test_failures_are_distinguished_and_stay_with_their_job(stubbed) -> None:
    """A job that raises, one that hangs, one killed, one refused, and two equal ones, which finish."""
    code, output = stubbed.run(
        "optimizer.lr=1e30,1e20,1e10,1e15,1e-3,1e-3",
        "sweep.time_limit=0.25",
        *LAUNCHERS["joblib"],
        timeout=400,
    )
    states = {word: (record["status"], record["error"]) for word, record in stubbed.records().items()}
    assert code == 1, output
    assert states["optimizer.lr=1e+30"] == ("failed", "RuntimeError: the stub fails here")
    assert states["optimizer.lr=1e+20"][0] == "timeout"
    assert "sweep.time_limit" in states["optimizer.lr=1e+20"][1]
    assert states["optimizer.lr=10000000000.0"][0] == "failed"
    assert (
        "SIGKILL" in states["optimizer.lr=10000000000.0"][1]
        or "out of memory" in states["optimizer.lr=10000000000.0"][1]
    )
    assert states["optimizer.lr=1000000000000000.0"] == (
        "failed",
        "data.root=/nowhere: the stub refuses it (exit code 2); see output.log",
    )
    assert states["optimizer.lr=0.001"][0] == "finished"
    assert "2 jobs are the same run" in output
    assert max(stubbed.steps().values()) == 1
    assert "4 of 5 runs failed" in output


def test_a_damaged_record_fails_its_job_in_words_and_nothing_else(stubbed) -> None:
    stubbed.run("seed=0")
    (record,) = (stubbed.home / "runs/s").glob("*/result.json")
    record.write_text("{")
    code, output = stubbed.run("seed=0,1")
    assert code == 1, output
    assert "Traceback" not in output
    assert f"{record.relative_to(stubbed.home)}: not readable as JSON" in output
    assert output.strip().splitlines()[-1].startswith("1 of 2 runs failed")


def test_a_job_that_is_twice_in_a_sweep_is_run_once_also_where_finished_ones_are_run_anew(stubbed) -> None:
    for _ in range(2):
        before = stubbed.workers()
        code, output = stubbed.run("seed=0,0", "force=true")
        assert code == 0, output
        assert not before & stubbed.workers()
        assert "2 jobs are the same run" in output
        assert output.count("start     [") == 1


@pytest.mark.parametrize("leased", ["auto", "null"])
def test_jobs_of_the_local_executor_see_the_launchers_gpus(leased: str, stubbed) -> None:
    """Submitit itself shows its jobs none, or the first ones whatever the launcher may use."""
    import json

    words = (*LAUNCHERS["submitit_local"], "trainer=gpu", f"sweep.devices={leased}", "seed=0,1")
    code, output = stubbed.run(*words, CUDA_VISIBLE_DEVICES="5,7")
    assert code == 0, output
    seen = {json.loads(file.read_text())["gpus"] for file in (stubbed.home / "runs/s").glob("*/seen.json")}
    assert seen <= ({"5", "7"} if leased == "auto" else {"5,7"})


@pytest.mark.parametrize("kind", ["gpu", "cpu"])
def test_jobs_side_by_side_see_devices_of_their_own(kind: str, stubbed) -> None:
    import json
    import os

    words = ["seed=0,1,2,3", *LAUNCHERS["joblib"]]
    if kind == "gpu":
        words += ["trainer=gpu", "hydra.launcher.n_jobs=4"]
    elif len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    code, output = stubbed.run(*words, CUDA_VISIBLE_DEVICES="5,7", STUB_PAUSE="0.3")
    assert code == 0, output
    seen = [json.loads(file.read_text()) for file in (stubbed.home / "runs/s").glob("*/seen.json")]
    sets = [set(job["gpus"].split(",")) if kind == "gpu" else set(job["cores"]) for job in seen]
    assert all(len(devices) == 1 for devices in sets)
    assert set().union(*sets) == ({"5", "7"} if kind == "gpu" else set(sorted(os.sched_getaffinity(0))[:2]))
    together = [
        (a, b)
        for i, a in enumerate(seen)
        for j, b in enumerate(seen[:i])
        if a["from"] < b["until"] and b["from"] < a["until"] and sets[i] & sets[j]
    ]
    assert not together


def test_status_shows_what_goes_on_and_repeat_repeats_one_job(
    stubbed, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    from deepmatte.cli.sweep import main
    from deepmatte.sweeps.status import read_sweep

    process = stubbed.start("optimizer.lr=1e-3,1e30,1e-4", STUB_PAUSE="0.5")
    directory: Path = stubbed.home / "runs/s"
    stubbed.wait_for(lambda: stubbed.steps())
    state = read_sweep(directory)
    assert state.counts["running"] == 1
    assert state.counts["waiting"] == 2
    running = next(job for job in state.jobs if job.state == "running")
    assert 0 < running.progress < 1
    assert running.seconds_left is not None
    assert not state.is_over
    process.communicate(timeout=600)
    assert read_sweep(directory).is_over
    assert main(["status", str(directory)]) == 1
    shown = capsys.readouterr().out
    assert "2 finished, 1 failed" in shown
    assert "the stub fails here" in shown
    assert (
        "deepmatte train -m wandb.mode=disabled name=s optimizer.lr=1e-3,1e30,1e-4" in shown
    )  # which resumes it
    command = next(line.split() for line in shown.splitlines() if "deepmatte sweep repeat" in line)
    for name, value in stubbed.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(stubbed.home)
    assert main(command[2:]) == 1  # it fails again, from its checkpoint on
    assert max(stubbed.steps().values()) == 1
