"""Training of the small network: one layout of activations against the other.

With --threads: a core left to the loader or not. Run: python benchmarks/training.py [--threads]. It needs an
idle machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time

import torch

from deepmatte.batch import example_batch
from deepmatte.data.parallel import num_cores
from deepmatte.models import DeepImageMatting

STEPS, TURNS = 4, 3


def samples_per_second(channels_last: bool, size: int = 128, num: int = 4) -> float:
    """Return the speed of forward, backward and an Adam step of ``dim_small`` with its refiner."""
    torch.manual_seed(0)
    model = DeepImageMatting(width=0.125, norm="batch", skips=True, channels_last=channels_last)
    optimizer, batch = torch.optim.Adam(model.parameters()), example_batch(num, size)
    start = 0.0
    for step in range(STEPS + 1):
        if step == 1:
            start = time.perf_counter()
        optimizer.zero_grad()
        (model(batch).alpha - batch["alpha"]).abs().mean().backward()
        optimizer.step()
    return num * STEPS / (time.perf_counter() - start)


def seconds_of_run(samples: int, threads: int | None) -> float:
    """Return the seconds of a run of the default budget, with ``threads`` or deepmatte's choice."""
    given = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    given |= {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    words = [
        "laptop.epochs=1",
        f"laptop.samples_per_epoch={samples}",
        "wandb.mode=disabled",
        "num_pictures=1",
    ]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "deepmatte.cli.train", *words]
        subprocess.run(command, cwd=folder, env=given, check=True, capture_output=True)
        return time.perf_counter() - start


def threads() -> None:
    """Print the speed of training, from two lengths, with a thread a core and with deepmatte's choice."""
    speeds = {}
    for name, count in (("all", num_cores()), ("chosen", None)):
        speeds[name] = 640 / (seconds_of_run(768, count) - seconds_of_run(128, count))
    print(
        f"{num_cores()} cores, one loader process: a thread a core {speeds['all']:.1f} samples/s, "
        f"a core left to the loader {speeds['chosen']:.1f}; ratio {speeds['chosen'] / speeds['all']:.2f}"
    )


def layouts() -> None:
    """Print the ratio; the layouts take turns, so a machine whose speed drifts treats them alike."""
    pairs = [(samples_per_second(True), samples_per_second(False)) for _ in range(TURNS)]
    last, first = (sorted(column)[TURNS // 2] for column in zip(*pairs, strict=True))
    print(
        f"dim_small, 4 crops of 128: channels last {last:.1f} samples/s, channels first {first:.1f}; "
        f"ratio {last / first:.2f}"
    )


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--threads", action="store_true", help="compare numbers of threads instead of layouts"
    )
    threads() if parser.parse_args().threads else layouts()


if __name__ == "__main__":
    main()
