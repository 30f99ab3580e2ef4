"""What the presets for GPUs do on this one: are the numbers right, how fast is it, how much memory.

Every network of conf/model/ is trained and run in float32, TF32 and bfloat16, channels last, and compiled;
ViTMatte with checkpointing, too; and one takes a few steps under FSDP, alone.
Run: python benchmarks/gpu.py [--cpu] [--json FILE] [--seconds N] [MODEL[+OPTION] …]. It takes five minutes at
most, and leaves out what there is no time for; what breaks is a line, and the exit code is 1. With --cpu it
takes small pictures, which tests the script itself.
"""

from __future__ import annotations

import argparse
import json
import math
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
from deepmatte.training.building.from_config import build_model, build_trainer, quieten
from deepmatte.training.guides import with_guide
from deepmatte.training.module import MattingModule

COMPILED = "gpu, compiled"
SETTINGS: dict[str, list[str]] = {
    "fp32": [],
    "tf32": ["trainer.matmul_precision=high"],
    "bf16": ["trainer.matmul_precision=high", "trainer.precision=bf16-mixed"],
    "gpu": ["trainer=gpu"],
    COMPILED: ["trainer=gpu", "trainer.compile=default"],
}
"""What is compared, from the first runs' numbers to the preset, as overrides."""

FARTHEST = {"fp32": 1e-4, "tf32": 0.01, "bf16": 0.05, "gpu": 0.05, COMPILED: 0.05}
"""How far the mean alpha may be from that of float32; single pixels move where rounding moves a max-pool."""

LOSSES = {"alpha": {"weight": 1}, "laplacian": {"weight": 1}}
STEPS = 8
BATCHES = 2
"""How many different ones the steps take in turn: guides are solved on the CPU."""

CHECKPOINTING = "vitmatte+checkpointing"
SHARDED = "vitmatte"


@dataclass
class Row:
    """One network under one setting: speed, memory, mean deviation of alpha, and what is ``wrong``.

    What was not measured is None.
    """

    model: str
    setting: str
    samples_per_second: float | None = None
    train_mb: float | None = None
    milliseconds: float | None = None
    predict_mb: float | None = None
    deviation: float | None = None
    wrong: str = ""

    def __str__(self) -> str:
        cells = [f"{self.model:24}{self.setting:15}"]
        for value, digits, unit in (
            (self.samples_per_second, "9.1", "samples/s"),
            (self.train_mb, "8.0", "MB"),
            (self.milliseconds, "8.1", "ms"),
            (self.predict_mb, "8.0", "MB"),
        ):
            cells.append("" if value is None else f"{value:{digits}f} {unit}")
        cells.append("" if self.deviation is None else f" {self.deviation:.1e}")
        return " ".join(filter(None, [*cells, self.wrong and f"WRONG: {self.wrong}"]))


class Bench:
    """Measures on one device, at sizes that fit it."""

    def __init__(self, cpu: bool) -> None:
        self.device = torch.device("cpu" if cpu else "cuda")
        self.size, self.num, self.picture = (64, 2, 96) if cpu else (320, 8, 1088)
        self.reference: dict[str, Tensor] = {}
        self.losses: dict[str, float] = {}
        self.batches: dict[tuple, Batch] = {}

    def row(self, name: str, setting: str) -> Row:
        """Train and run a network under a setting; with options it is compared with the one without."""
        plain = name.partition("+")[0]
        config = compose("train", [*overrides(name), *SETTINGS[setting]])
        torch.manual_seed(0)
        model = build_model(config).to(self.device)
        accelerate(model, config, training=True)
        dtype = torch.bfloat16 if config.trainer.precision == "bf16-mixed" else None
        wrong = []
        before = list(model.state_dict())
        alpha, milliseconds, predict_mb = self._predict(model, dtype)
        deviation = float((alpha - self.reference.setdefault(plain, alpha)).abs().mean())
        if alpha.dtype != torch.float32:
            wrong.append(f"alpha is {alpha.dtype}")
        if not deviation <= FARTHEST[setting]:
            wrong.append(f"alpha is {deviation:.3g} away")
        speed, train_mb, losses = self._train(model, dtype)
        first = float(losses[0])
        if abs(first / self.losses.setdefault(plain, first) - 1) > 0.05:
            wrong.append(f"the first loss is {first:.4g} instead of {self.losses[plain]:.4g}")
        if not all(torch.isfinite(loss) and loss.dtype == torch.float32 for loss in losses):
            wrong.append("a loss is not finite or not in fp32")
        if list(model.state_dict()) != before:
            wrong.append("the names of the weights changed")
        return Row(name, setting, speed, train_mb, milliseconds, predict_mb, deviation, ", ".join(wrong))

    def sharded(self, name: str, trainer: str = "fsdp") -> Row:
        """Train a network by Lightning and FSDP, which shards nothing where there is one process."""
        config = compose("train", [*overrides(name), f"trainer={trainer}", "trainer.devices=1"])
        torch.manual_seed(0)
        model = build_model(config)
        accelerate(model, config, training=True)
        batches = [self._batch(model, self.num, self.size, step % BATCHES) for step in range(STEPS)]
        quiet: Any = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        quieten()
        lightning = build_trainer(config, max_epochs=1, **quiet)
        module = MattingModule(model, LossTable(LOSSES))
        self._reset()
        lightning.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
        loss = float(lightning.callback_metrics["train/loss"])
        done = lightning.global_step == STEPS and math.isfinite(loss)
        wrong = "" if done else f"{lightning.global_step} steps, a loss of {loss:.4g}"
        return Row(name, trainer, train_mb=self._peak(), wrong=wrong)

    def _batch(self, model: MattingModel, num: int, size: int, seed: int = 0) -> Batch:
        """Return a batch with all that the network reads; guides are solved once for all settings."""
        key = (num, size, seed, model.guides if "guide" in model.reads else ())
        if key not in self.batches:
            batch = example_batch(num, size, seed)
            batch["captured_background"] = batch["background"]
            self.batches[key] = with_guide(batch, model)
        found: Any = self.batches[key]
        return {name: v.to(self.device) if isinstance(v, Tensor) else v for name, v in found.items()}  # type: ignore[return-value]

    def _predict(self, model: MattingModel, dtype: torch.dtype | None) -> tuple[Tensor, float, float]:
        """Return alpha of a picture, milliseconds and peak memory in MB; uncompiled, as pictures are."""
        batch = self._batch(model, 1, self.picture)
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
        batches = [self._batch(model, self.num, self.size, seed) for seed in range(BATCHES)]
        losses, start = [], 0.0
        for step in range(STEPS + 1):
            if step == 1:
                self._reset()
                start = time.perf_counter()
            batch = batches[step % BATCHES]
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
    wanted = [(name, setting) for setting in SETTINGS for name in models]
    if bench.device.type == "cuda" and SHARDED in models:
        wanted.insert(wanted.index((models[0], COMPILED)), (SHARDED, "fsdp"))
    for name, setting in wanted:
        if time.monotonic() - start > seconds:
            print(f"left out  {name}, {setting}: the time is over")
            continue
        try:
            yield bench.sharded(name) if setting == "fsdp" else bench.row(name, setting)
        except Exception as error:  # a network that breaks must not hide the others' figures
            reason = (str(error).strip() or "no message").splitlines()[0]
            yield Row(name, setting, wrong=f"{type(error).__name__}: {reason}")


def overrides(name: str) -> list[str]:
    """Return the overrides of a network with options.

    >>> overrides("vitmatte+checkpointing")
    ['model=vitmatte', 'model.checkpointing=true']
    """
    model, *options = name.split("+")
    return [f"model={model}", *(f"model.{option}=true" for option in options)]


def main() -> int:
    """Print a line for each measurement; return 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "model", nargs="*", help="files of conf/model/, or with an option that is true (default: all)"
    )
    parser.add_argument("--cpu", action="store_true", help="test the script itself, on small pictures")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--seconds", type=float, default=200, help="when to start nothing new (default: 200)")
    options = parser.parse_args()
    if not options.cpu and not torch.cuda.is_available():
        parser.error("there is no GPU here; --cpu tests the script")
    files = sorted(file.stem for file in (conf_dir() / "model").glob("*.yaml"))
    models = options.model or [*files, CHECKPOINTING]
    bench, found = Bench(options.cpu), []
    where = "CPU" if options.cpu else torch.cuda.get_device_name()
    crops = f"{bench.num} crops of {bench.size}"
    print(f"{where}, torch {torch.__version__}; {crops}, a picture of {bench.picture} squared")
    for row in rows(bench, models, options.seconds):
        found.append(row)
        print(row, flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in found], indent=1), encoding="utf-8")
    wrong = [row for row in found if row.wrong]
    print(f"{len(found)} measurements, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
