"""How long `deepmatte compare` takes on a large sweep, and how much memory and page it makes.

The sweep is 100 runs (20 settings, 5 seeds) of 1,000 test images (250 foregrounds) with 16 test pictures of
320 x 320 each. Wanted: the page under 10 s, 1 GB and 10 MB. Run: ``python benchmarks/compare.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "compare"))
from simulated_runs import PER_FOREGROUND, write_run

SETTINGS, SEEDS, IMAGES, PICTURES, SIDE, EPOCHS = 20, 5, 1000, 16, 320, 200


def make_sweep(directory: Path) -> None:
    """Write the runs: scores by foreground and image; mattes are noisy versions of a ragged blob."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)).filter(
        ImageFilter.GaussianBlur(3)
    )
    truth = np.asarray(noise, dtype=float)
    truth = np.clip((truth - truth.mean()) * 12 + 128, 0, 255)
    difficulty = np.repeat(rng.gamma(4, 1, IMAGES // PER_FOREGROUND), PER_FOREGROUND)
    for setting in range(SETTINGS):
        for seed in range(SEEDS):
            scores = 10 + 0.1 * setting + difficulty + rng.normal(0, 0.2) + rng.normal(0, 0.5, IMAGES)
            run = write_run(
                directory / f"{setting:04x}{seed:04x}", [f"loss=setting{setting}"], seed, scores, parts=True
            )
            rows = [
                f"{epoch},{epoch * 10},{np.exp(-epoch / 50):.4f},{10 + np.exp(-epoch / 50):.4f}"
                for epoch in range(EPOCHS)
            ]
            (run / "metrics.csv").write_text("epoch,step,train/loss,val/sad\n" + "\n".join(rows))
            write_pictures(run / "pictures" / "test", truth, rng)


def write_pictures(folder: Path, truth: np.ndarray, rng: np.random.Generator) -> None:
    """Write the test pictures of one run."""
    folder.mkdir(parents=True)
    matte = np.clip(truth + rng.normal(0, 8, truth.shape) * ((truth > 0) & (truth < 255)), 0, 255)
    colours = np.stack([truth, 255 - truth, truth[::-1]], axis=-1)
    for part, picture in (("image", colours), ("alpha", truth), ("matte", matte)):
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"0000_{part}.png", compress_level=1)
        for number in range(1, PICTURES):
            os.link(folder / f"0000_{part}.png", folder / f"{number * 60:04d}_{part}.png")


def measure(arguments: list[str]) -> tuple[float, float, float]:
    """Return wall and processor seconds and peak memory in MB of `deepmatte compare` in a fresh process."""
    code = "import resource, sys\nfrom deepmatte.cli.compare import main\nmain(sys.argv[1:])\n"
    code += "use = resource.getrusage(resource.RUSAGE_SELF)\n"
    code += "print(use.ru_utime + use.ru_stime, use.ru_maxrss / 1024, file=sys.stderr)"
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, env=os.environ
    )
    processor, memory = map(float, done.stderr.splitlines()[-1].split())
    return time.perf_counter() - start, processor, memory


def main() -> None:
    """Print the figures, the terminal's table and the whole report apart."""
    with tempfile.TemporaryDirectory() as scratch:
        sweep, out = Path(scratch) / "sweep", Path(scratch) / "out"
        make_sweep(sweep)
        for name, options in (("table", []), ("report", ["--out", str(out)])):
            seconds, processor, memory = measure([str(sweep), *options])
            size = f"{SETTINGS * SEEDS} runs x {IMAGES} images"
            print(
                f"compare {name:<7} {size}: {seconds:5.1f} s "
                f"({processor:.1f} s of processor time), {memory:4.0f} MB"
            )
        print(f"page {(out / 'comparison.html').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
