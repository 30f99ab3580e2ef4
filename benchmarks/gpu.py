"""What the presets for GPUs do on this one: are the numbers right, how fast is it, how much memory.

Every network of conf/model/ is trained and run in float32, TF32 and bfloat16, channels last, and compiled.
Run: python benchmarks/gpu.py [--cpu] [--json FILE] [--seconds N] [MODEL …]. It takes five minutes at most,
and leaves out what there is no time for; with --cpu it takes small pictures, which tests the script itself.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepmatte.batch import Batch, example_batch
from deepmatte.config.compose import compose
from deepmatte.config.places import conf_dir
from deepmatte.losses import LossTable
from deepmatte.models import MattingModel
from deepmatte.training.acceleration import accelerate
from deepmatte.training.building.from_config import build_model

SETTINGS: dict[str, list[str]] = {
    "fp32": [],
    "tf32": ["trainer.matmul_precision=high"],
    "bf16": ["trainer.matmul_precision=high", "trainer.precision=bf16-mixed"],
    "gpu": ["trainer=gpu"],
    "gpu, compiled": ["trainer=gpu", "trainer.compile=default"],
}
"""What is compared, from the first runs' numbers to the preset, as overrides."""

FARTHEST = {"fp32": 1e-4, "tf32": 0.01, "bf16": 0.05, "gpu": 0.05, "gpu, compiled": 0.05}
"""How far the mean alpha may be from that of float32; single pixels move where rounding moves a max-pool."""

LOSSES = {"alpha": {"weight": 1}, "laplacian": {"weight": 1}}
STEPS = 8


@dataclass
class Row:
    """One network under one setting: speed, memory, mean deviation of alpha, and what is ``wrong``."""

    model: str
    setting: str
    samples_per_second: float
    train_mb: float
    milliseconds: float
    predict_mb: float
    deviation: float
    wrong: str = ""


class Bench:
    """Measures on one device, at sizes that fit it."""

    def __init__(self, cpu: bool) -> None:
        self.device = torch.device("cpu" if cpu else "cuda")
        self.size, self.num, self.picture = (64, 2, 96) if cpu else (320, 8, 1088)
        self.reference: dict[str, Tensor] = {}
        self.losses: dict[str, float] = {}

    def row(self, name: str, setting: str) -> Row:
        """Train and run a network under a setting."""
        config = compose("train", [f"model={name}", *SETTINGS[setting]])
        torch.manual_seed(0)
        model = build_model(config).to(self.device)
        accelerate(model, config, training=True)
        dtype = torch.bfloat16 if config.trainer.precision == "bf16-mixed" else None
        wrong = []
        before = list(model.state_dict())
        alpha, milliseconds, predict_mb = self._predict(model, dtype)
        deviation = float((alpha - self.reference.setdefault(name, alpha)).abs().mean())
        if alpha.dtype != torch.float32:
            wrong.append(f"alpha is {alpha.dtype}")
        if not deviation <= FARTHEST[setting]:
            wrong.append(f"alpha is {deviation:.3g} away")
        speed, train_mb, losses = self._train(model, dtype)
        first = float(losses[0])
        if abs(first / self.losses.setdefault(name, first) - 1) > 0.05:
            wrong.append(f"the first loss is {first:.4g} instead of {self.losses[name]:.4g}")
        if not all(torch.isfinite(loss) and loss.dtype == torch.float32 for loss in losses):
            wrong.append("a loss is not finite or not in fp32")
        if list(model.state_dict()) != before:
            wrong.append("the names of the weights changed")
        return Row(name, setting, speed, train_mb, milliseconds, predict_mb, deviation, ", ".join(wrong))

    def _batch(self, num: int, size: int, seed: int = 0) -> Batch:
        batch: Any = example_batch(num, size, seed)
        batch["captured_background"] = batch["background"]
        return {key: v.to(self.device) if isinstance(v, Tensor) else v for key, v in batch.items()}  # type: ignore[return-value]

    def _predict(self, model: MattingModel, dtype: torch.dtype | None) -> tuple[Tensor, float, float]:
        """Return alpha of a picture, milliseconds and peak memory in MB; uncompiled, as pictures are."""
        batch = self._batch(1, self.picture)
        model.eval()
        with (
            torch.inference_mode(),
            self._autocast(dtype),
        ):
            alpha = model.forward(batch).alpha
            self._reset()
            start = time.perf_counter()
            model.forward(batch)
            self._wait()
        return alpha.clone(), 1000 * (time.perf_counter() - start), self._peak()

    def _train(self, model: MattingModel, dtype: torch.dtype | None) -> tuple[float, float, list[Tensor]]:
        """Return samples per second, peak memory in MB and the losses; the first step is not timed."""
        model.train()
        table = LossTable(LOSSES)
        parameters = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=1e-5, fused=self.device.type == "cuda")
        losses, start = [], 0.0
        for step in range(STEPS + 1):
            if step == 1:
                self._reset()
                start = time.perf_counter()
            batch = self._batch(self.num, self.size, step)
            optimizer.zero_grad()
            with self._autocast(dtype):
                loss = table(model(batch), batch).total
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        self._wait()
        return self.num * STEPS / (time.perf_counter() - start), self._peak(), losses

    def _autocast(self, dtype: torch.dtype | None) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=dtype is not None)

    def _reset(self) -> None:
        self._wait()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def _peak(self) -> float:
        return torch.cuda.max_memory_allocated() / 2**20 if self.device.type == "cuda" else 0.0


def rows(bench: Bench, models: list[str], seconds: float) -> Iterator[Row]:
    """Yield what can be measured within ``seconds``; the preset of all networks before compiled ones."""
    start = time.monotonic()
    for setting in SETTINGS:
        for name in models:
            if time.monotonic() - start > seconds:
                print(f"left out  {name}, {setting}: the time is over")
                continue
            yield bench.row(name, setting)


def main() -> int:
    """Print a line for each measurement; return 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="*", help="files of conf/model/ (default: all)")
    parser.add_argument("--cpu", action="store_true", help="test the script itself, on small pictures")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--seconds", type=float, default=200, help="when to start nothing new (default: 200)")
    options = parser.parse_args()
    if not options.cpu and not torch.cuda.is_available():
        parser.error("there is no GPU here; --cpu tests the script")
    models = options.model or sorted(file.stem for file in (conf_dir() / "model").glob("*.yaml"))
    bench, found = Bench(options.cpu), []
    where = "CPU" if options.cpu else torch.cuda.get_device_name()
    crops = f"{bench.num} crops of {bench.size}"
    print(f"{where}, torch {torch.__version__}; {crops}, a picture of {bench.picture} squared")
    for row in rows(bench, models, options.seconds):
        found.append(row)
        print(
            f"{row.model:16}{row.setting:15}{row.samples_per_second:9.1f} samples/s {row.train_mb:8.0f} MB"
            f"{row.milliseconds:9.1f} ms {row.predict_mb:8.0f} MB  {row.deviation:.1e} {row.wrong}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in found], indent=1), encoding="utf-8")
    wrong = [row for row in found if row.wrong]
    print(f"{len(found)} measurements, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
