"""Training of the small network: what would make a laptop run learn more a second, as ratios in one run.

Run: python benchmarks/training.py [--layouts | --threads]. Without an option: a fused optimiser,
`torch.compile`, a stem at half of the resolution, and scoring in batches. It needs an idle machine.

Claim: nothing was found that does it. On crops of 96, those of budget=laptop, a fused optimiser takes 0.98 of
a step, `torch.compile` 0.90 (1.04 on crops of 128; its time of compiling is not counted), and a stem at half
of the resolution 0.82, since sides have to be padded to 64; on crops of 128 it takes 0.48. With such a stem
the default run scored as before after its six epochs (SAD 14.10, 14.22 without; one seed, a trial outside the
package). Scoring in batches of four takes 1.56 of the time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from deepmatte.batch import example_batch
from deepmatte.data.parallel import num_cores
from deepmatte.models import DeepImageMatting
from deepmatte.models.dim import EncoderDecoder

STEPS, TURNS = 4, 3


def seconds_of_step(
    model: DeepImageMatting, clock: Callable[[], float], size: int, num: int = 4, fused: bool = False
) -> float:
    """Return the seconds of forward, backward and an Adam step, after one that compiles what there is."""
    optimizer, batch, start = torch.optim.Adam(model.parameters(), fused=fused), example_batch(num, size), 0.0
    for step in range(STEPS + 1):
        if step == 1:
            start = clock()
        optimizer.zero_grad()
        (model(batch).alpha - batch["alpha"]).abs().mean().backward()
        optimizer.step()
    return (clock() - start) / STEPS


class HalfStem(nn.Module):
    """The encoder-decoder on blocks of 2x2 pixels, as a trial: a quarter of the positions at each level."""

    def __init__(self, network: EncoderDecoder) -> None:
        super().__init__()
        first, last = network.encoder.blocks[0][0], network.decoder.alpha
        network.encoder.blocks[0][0] = nn.Conv2d(16, first.out_channels, 3, padding=1)
        network.decoder.alpha = nn.Conv2d(last.in_channels, 4, 5, padding=2)
        self.encoder, self.decoder = network.encoder, network.decoder

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logit."""
        return F.pixel_shuffle(self.decoder(*self.encoder(F.pixel_unshuffle(x, 2))), 2)


def small(way: str = "", channels_last: bool = True) -> DeepImageMatting:
    """Return ``dim_small``, changed."""
    torch.manual_seed(0)
    model = DeepImageMatting(width=0.125, norm="batch", skips=True, channels_last=channels_last)
    if way == "half":
        model.encoder_decoder = HalfStem(model.encoder_decoder).to(memory_format=torch.channels_last)
        model.multiple = 64
    if way == "compile":
        model.compile()
    return model


@torch.inference_mode()
def cpu_of_picture(num: int) -> float:
    """Return CPU seconds of the matte of a picture of 256 x 256 pixels, in batches of ``num``."""
    model, batch = small().eval(), example_batch(num, 256)
    model(batch)
    start = time.process_time()
    for _ in range(STEPS):
        model(batch)
    return (time.process_time() - start) / STEPS / num


def ways() -> None:
    """Print each way's share of the time of a step, and of a picture; they take turns."""
    names = ("as it is", "fused", "compile", "half")
    for size in (96, 128):
        found = [
            [seconds_of_step(small(name), time.process_time, size, fused=name == "fused") for name in names]
            for _ in range(TURNS)
        ]
        usual, *others = (sorted(column)[TURNS // 2] for column in zip(*found, strict=True))
        shares = ", ".join(f"{name} {each / usual:.2f}" for name, each in zip(names[1:], others, strict=True))
        print(f"a step on 4 crops of {size}: {1000 * usual:.0f} ms; of that {shares}")
    alone, four = (sorted(cpu_of_picture(num) for _ in range(TURNS))[TURNS // 2] for num in (1, 4))
    print(f"scoring a picture: {1000 * alone:.0f} ms; of that in batches of four {four / alone:.2f}")


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
    pairs = [
        [4 / seconds_of_step(small(channels_last=each), time.perf_counter, 128) for each in (True, False)]
        for _ in range(TURNS)
    ]
    last, first = (sorted(column)[TURNS // 2] for column in zip(*pairs, strict=True))
    print(
        f"dim_small, 4 crops of 128: channels last {last:.1f} samples/s, channels first {first:.1f}; "
        f"ratio {last / first:.2f}"
    )


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--layouts", action="store_true", help="channels last or first")
    choice.add_argument("--threads", action="store_true", help="a core left to the loader or not")
    options = parser.parse_args()
    (threads if options.threads else layouts if options.layouts else ways)()


if __name__ == "__main__":
    main()
