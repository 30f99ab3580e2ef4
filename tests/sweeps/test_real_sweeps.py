"""Sweeps of real training: bit-equal weights after kills, DDP in every launcher, failures of one rank."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

LAUNCHERS = {
    "basic": (),
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit_local": ("hydra/launcher=submitit_local",),
}
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


def last_weights(home: Path) -> dict[str, dict[str, torch.Tensor]]:
    files = (home / "runs/s").glob("*/checkpoints/last.ckpt")
    return {file.parents[1].name: torch.load(file, weights_only=True)["state_dict"] for file in files}


@pytest.mark.parametrize("trainer", [(), DDP], ids=["one", "ddp"])
def test_jobs_that_were_killed_end_in_the_weights_of_an_undisturbed_sweep(
    trainer: tuple[str, ...], sweeps, tiny
) -> None:
    """The job is killed in its second epoch, then everything; weights and scores are equal to the bit."""
    words = (*tiny("stages.encoder_decoder.epochs=4", "data.samples_per_epoch=32"), *trainer, "seed=0,1")
    code, output = sweeps.run(*words, timeout=900)
    assert code == 0, output
    calm, scores = (
        last_weights(sweeps.home),
        {name: record["scores"] for name, record in sweeps.records().items()},
    )
    (sweeps.home / "runs").rename(sweeps.home / "calm")
    kills = 0
    for target in (sweeps.jobs, sweeps.pids):
        known = len(list(sweeps.home.glob("runs/s/*/pictures/epoch_*.png")))
        process = sweeps.start(*words)
        sweeps.wait_for(
            lambda known=known: len(list(sweeps.home.glob("runs/s/*/pictures/epoch_*.png"))) > known
        )
        kills += sweeps.kill(target())
        process.communicate(timeout=900)
    code, output = sweeps.run(*words, timeout=900)
    assert code == 0, output
    assert kills >= 3
    stormy = last_weights(sweeps.home)
    assert set(stormy) == set(calm)
    for name, weights in calm.items():
        assert all(torch.equal(stormy[name][key], value) for key, value in weights.items()), name
    assert {name: record["scores"] for name, record in sweeps.records().items()} == scores


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_forked_jobs_compute_what_jobs_with_an_interpreter_of_their_own_do(
    launcher: str, sweeps, tiny
) -> None:
    """Weights, scores of every image and pictures are equal to the bit; each job's W&B run is whole."""
    words = (
        *tiny("data.samples_per_epoch=16", "num_pictures=2"),
        "seed=0,1,2",
        "wandb.mode=offline",
        *LAUNCHERS[launcher],
    )
    found = []
    for fork in ("true", "false"):
        process = sweeps.start(*words, f"sweep.fork={fork}", WANDB_MODE="offline")
        if fork == "true":
            sweeps.wait_for(lambda: sweeps.pids("waits for jobs") and len(sweeps.records()) > 1, seconds=1500)
        output = process.communicate(timeout=900)[0]
        assert process.returncode == 0, output
        assert not sweeps.pids()
        runs = sweeps.home / "runs/s"
        assert len(list(runs.glob("*/wandb/offline-run-*/files/media/images/test/*.png"))) >= 3
        files = sorted([*runs.glob("*/per_image.csv"), *runs.glob("*/pictures/*.png")])
        assert len(files) == 3 * 3
        scores = {record["seed"]: record["scores"] for record in sweeps.records().values()}
        found.append(
            (last_weights(sweeps.home), scores, {file.relative_to(runs): file.read_bytes() for file in files})
        )
        (sweeps.home / "runs").rename(sweeps.home / fork)
    (forked, *rest), (fresh, *others) = found
    assert rest == others
    assert set(forked) == set(fresh)
    for name, weights in fresh.items():
        assert all(torch.equal(forked[name][key], value) for key, value in weights.items()), name


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_ranks_in_every_job_and_a_failure_on_rank_1_fails_that_job_and_nothing_else(
    launcher: str, sweeps, tiny
) -> None:
    """The trap is a loss term with weight 0, never computed, in one job; it fails on rank 1 in the other."""
    sweeps.environment |= {
        "DEEPMATTE_ALLOWED_TARGETS": "planted",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    }
    trap = '+loss.trap={term:"planted:trap_loss",weight:1},{term:"planted:trap_loss",weight:0}'
    code, output = sweeps.run(*tiny(), *DDP, trap, *LAUNCHERS[launcher], timeout=900)
    assert code == 1, output
    failed, finished = _by_trap(sweeps)
    assert failed["status"] == "failed"
    assert "planted on rank 1" in failed["error"]
    assert finished["status"] == "finished"
    assert finished["cost"]["device_seconds"] == pytest.approx(2 * finished["cost"]["seconds"], rel=0.02)
    assert sweeps.jobs() == []


def _by_trap(sweeps) -> tuple[dict, dict]:
    """Return the records of the job with the trap and of the one without."""
    import json

    records = [json.loads(file.read_text()) for file in (sweeps.home / "runs/s").glob("*/result.json")]
    has_trap = [any("weight:1" in word for word in record["overrides"]) for record in records]
    assert sorted(has_trap) == [False, True]
    return records[has_trap.index(True)], records[has_trap.index(False)]


def test_memory_that_runs_out_is_called_so(sweeps, tiny) -> None:
    """The processes may have 6 GB of addresses; the batch would take more."""
    import resource

    limit = 6 * 2**30
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard not in (resource.RLIM_INFINITY, -1) and hard < limit:
        pytest.skip("the address space is limited already")
    words = tiny("data.batch_size=64", "data.samples_per_epoch=64", "composition.size=512", "model.width=1.0")
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        process = sweeps.start(*words, "seed=0")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    output = process.communicate(timeout=600)[0]
    (record,) = sweeps.records().values()
    assert process.returncode == 1, output
    assert record["status"] == "failed"
    assert record["error"].startswith("out of memory"), record["error"]


def test_real_errors_of_memory_are_recognised_and_others_are_not() -> None:
    from deepmatte.training.failures import out_of_memory

    with pytest.raises(RuntimeError) as cpu:
        torch.empty(10**16)
    assert out_of_memory(cpu.value).startswith("out of memory on the machine")
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory")).startswith(
        "out of memory on the device"
    )
    assert out_of_memory(MemoryError()).startswith("out of memory on the machine")
    assert out_of_memory(RuntimeError("size mismatch")) is None


def test_the_command_line_of_a_user_ends_with_words_not_with_a_traceback_on_ctrl_c(stubbed) -> None:
    import signal

    process = stubbed.start("seed=0,1", STUB_STEPS="50")
    stubbed.wait_for(stubbed.steps)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 130
    assert "Traceback" not in output
    assert "the same command" in output
