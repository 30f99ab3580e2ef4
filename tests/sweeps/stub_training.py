"""A stub in place of training: the processes of a sweep are real, each step takes a moment.

The stub keeps what matters to a sweep: it locks its directory, folds its steps into "weights" that depend on
their order, writes a checkpoint after each step, resumes from the last one, and records every step in
``steps.log``. Learning rates are its stage directions: 1e30 fails, 1e20 hangs, 1e10 is killed by SIGKILL, all
of them after three steps; 1e15 is refused before the first.
"""

import os
import sys
import types


def train(config, directory, overrides):
    import json
    import signal
    import time

    from deepmatte.errors import InputError
    from deepmatte.files import write_text
    from deepmatte.runs.directory import FINISHED, checked_run_dir
    from deepmatte.runs.identity import config_hash
    from deepmatte.runs.locks import locked

    run = checked_run_dir(directory, config_hash(config))
    if (run.result() or {}).get("status") == FINISHED and not config.force:
        return
    if config.optimizer.lr == 1e15:
        raise InputError("data.root=/nowhere: the stub refuses it")
    with locked(run.path):
        if config.force:
            run.clear()
        run.remove_leftovers()
        run.write_config(config, overrides)
        identity = {"config_hash": config_hash(config), "overrides": overrides, "seed": config.seed}
        run.update(**identity, status="running", error=None)
        seen = {
            "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "cores": sorted(os.sched_getaffinity(0)),
            "from": time.time(),
        }
        state = (
            json.loads(run.last_checkpoint.read_text())
            if run.last_checkpoint.exists()
            else {"step": 0, "weights": config.seed}
        )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        steps = int(os.environ.get("STUB_STEPS", "5"))
        try:
            _steps(run, state, steps, config.optimizer.lr)
        except SystemExit:
            run.update(
                status="interrupted", error="interrupted; the same command resumes from the last checkpoint"
            )
            raise
        write_text(run.path / "seen.json", json.dumps(seen | {"until": time.time()}))
        cost = {"seconds": 2.0, "device_seconds": 4.0, "peak_memory_mb": 100.0 + config.seed}
        run.update(
            status=FINISHED, scores={"val/sad": 1.0 / (1 + config.optimizer.lr), "test/sad": 2.0}, cost=cost
        )


def _steps(run, state, steps, lr):
    """Make the steps that are missing, and what the learning rate asks for after three of them."""
    import json
    import signal
    import time

    from deepmatte.errors import RunError
    from deepmatte.files import write_text

    while state["step"] < steps:
        if state["step"] == 3 and lr == 1e30:
            run.update(status="failed", error="RuntimeError: the stub fails here")
            raise RunError("the stub fails here")
        if state["step"] == 3 and lr == 1e20:
            time.sleep(1e6)
        if state["step"] == 3 and lr == 1e10:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(os.environ.get("STUB_PAUSE", "0.05")))
        step = state["step"] + 1
        state = {"step": step, "weights": _after_step(state["weights"], step, lr)}
        write_text(run.last_checkpoint, json.dumps(state))
        with (run.path / "steps.log").open("a") as log:
            log.write(f"{step} {os.getpid()}\n")
        with (run.path / "metrics.csv").open("a") as curves:
            head = "epoch,step,val/sad\n" if step == 1 else ""
            curves.write(f"{head}{step - 1},{step},{1 / (1 + lr)!r}\n")
        cost = {"seconds": 0.05 * step}
        run.write_progress(fraction=step / steps, seconds_left=0.05 * (steps - step), cost=cost)


def _after_step(weights, step, lr):
    return (weights * 1103515245 + 12345 * step + int(1e6 * lr)) % 2**61


def install():
    """Make ``deepmatte.training.run`` the stub in this process."""
    fake = types.ModuleType("deepmatte.training.run")
    fake.train = train
    fake.warm_up = lambda wandb: None
    sys.modules["deepmatte.training.run"] = fake


def weights_after(steps, seed, lr):
    """Return the weights after this number of steps, in their order."""
    weights = seed
    for step in range(1, steps + 1):
        weights = _after_step(weights, step, lr)
    return weights
