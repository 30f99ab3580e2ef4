"""Sweeps on a real Slurm of two nodes: DDP in a job, a job on both nodes, jobs killed or cancelled."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from cluster import cluster, reason_to_skip

REASON = reason_to_skip() if os.environ.get("DEEPMATTE_TEST_SLURM") else "run by `make test-slurm`"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(REASON is not None, reason=REASON or "")]

SLURM = (
    "hydra/launcher=submitit_slurm",
    "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.timeout_min=60",
    'hydra.launcher.setup=["export MASTER_ADDR=127.0.0.1"]',  # the nodes are one machine under made-up names
)


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    with cluster() as environment:
        yield {key: environment[key] for key in ("SLURM_CONF", "PATH")}


def queue(slurm: dict[str, str]) -> list[str]:
    """Return the jobs that run or wait."""
    return subprocess.run(
        ["squeue", "-h", "-r", "-o", "%i"], env=os.environ | slurm, capture_output=True, text=True
    ).stdout.split()


def test_two_jobs_of_two_ranks_one_of_which_is_killed(slurm, sweeps, tiny) -> None:
    """The killed one fails alone; the same command runs only that one."""
    words = (*SLURM, *tiny("data.samples_per_epoch=64"), "trainer=ddp", "trainer.accelerator=cpu", "seed=0,1")
    first = sweeps.start(*words, **slurm)
    sweeps.wait_for(lambda: list((sweeps.home / "runs/s").glob("*/progress.json")), seconds=600)
    kills = sweeps.kill(sweeps.jobs()[:1])
    output = first.communicate(timeout=900)[0]
    assert kills == 1
    assert first.returncode == 1, output
    assert sorted(record["status"] for record in sweeps.records().values()) == ["failed", "finished"], output
    code, output = sweeps.run(*words, timeout=900, **slurm)
    assert code == 0, output
    assert [record["status"] for record in sweeps.records().values()] == ["finished"] * 2
    assert all(
        record["cost"]["device_seconds"] > 1.9 * record["cost"]["seconds"]
        for record in sweeps.records().values()
    )
    assert not queue(slurm)


def test_a_job_over_two_nodes(slurm, sweeps, tiny) -> None:
    """Every rank is a task that Slurm starts; Lightning's own environment joins them."""
    nodes = (
        "trainer.num_nodes=2",
        "hydra.launcher.nodes=2",
        "hydra.launcher.tasks_per_node=1",
        "trainer.devices=1",
    )
    code, output = sweeps.run(
        *SLURM, *tiny(), "trainer=ddp", "trainer.accelerator=cpu", "seed=0", *nodes, timeout=900, **slurm
    )
    assert code == 0, output
    (record,) = sweeps.records().values()
    assert record["status"] == "finished"
    assert record["cost"]["device_seconds"] == pytest.approx(2 * record["cost"]["seconds"], rel=0.05)


@pytest.mark.parametrize("how", [(), ("--signal=KILL", "--full")], ids=["asked", "killed"])
def test_a_cancelled_job_ends_the_sweep_in_words_and_the_same_command_completes_it(
    how: tuple[str, ...], slurm, stubbed
) -> None:
    """A cancelled job records that; of a killed one the launcher reads the record, or misses the result."""
    words = (*SLURM, "seed=0,1")
    first = stubbed.start(*words, STUB_STEPS="12", STUB_PAUSE="3.0", **slurm)
    stubbed.wait_for(lambda: sum(stubbed.steps().values()) >= 2)
    subprocess.run(["scancel", *how, queue(slurm)[0]], env=os.environ | slurm, check=True)
    output = first.communicate(timeout=300)[0]
    assert first.returncode == 1, output
    assert "Traceback" not in output
    said = ("deepmatte: the queue lost a job", "1 of 2 runs failed; the same command runs only those again")
    assert output.strip().splitlines()[-1].startswith(said if how else said[1]), output
    code, output = stubbed.run(*words, STUB_STEPS="12", **slurm)
    assert code == 0, output
    assert {record["status"] for record in stubbed.records().values()} == {"finished"}
    assert max(stubbed.steps().values()) == 1


def test_jobs_outlive_a_killed_launcher_and_are_not_run_twice(slurm, stubbed) -> None:
    """They are the queue's, not the launcher's: the same command waits for them."""
    words = (*SLURM, "seed=0,1")
    first = stubbed.start(*words, STUB_STEPS="12", STUB_PAUSE="3.0", **slurm)
    stubbed.wait_for(lambda: sum(stubbed.steps().values()) >= 2)
    first.kill()
    code, output = stubbed.run(*words, STUB_STEPS="12", **slurm)
    assert code == 0, output
    assert max(stubbed.steps().values()) == 1
    assert {record["status"] for record in stubbed.records().values()} == {"finished"}


def test_ctrl_c_on_the_launcher_ends_the_jobs_of_the_queue(slurm, stubbed) -> None:
    import signal

    first = stubbed.start(*SLURM, "seed=0,1", STUB_STEPS="12", STUB_PAUSE="3.0", **slurm)
    stubbed.wait_for(lambda: sum(stubbed.steps().values()) >= 2)
    first.send_signal(signal.SIGINT)
    assert first.wait(timeout=60) != 0
    stubbed.wait_for(lambda: not queue(slurm), seconds=60, ended=True)
    assert {record["status"] for record in stubbed.records().values()} <= {"interrupted", "finished"}
