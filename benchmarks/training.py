"""Training steps of the small network: layout of activations against layout, turn by turn. Run: python benchmarks/training.py."""

from __future__ import annotations

import time

import torch

from deepmatte.batch import example_batch
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


def main() -> None:
    """Print the ratio; the layouts take turns, so a machine whose speed drifts treats them alike."""
    pairs = [(samples_per_second(True), samples_per_second(False)) for _ in range(TURNS)]
    last, first = (sorted(column)[TURNS // 2] for column in zip(*pairs, strict=True))
    print(f"dim_small, 4 crops of 128: channels last {last:.1f} samples/s, channels first {first:.1f}; ratio {last / first:.2f}")


if __name__ == "__main__":
    main()
