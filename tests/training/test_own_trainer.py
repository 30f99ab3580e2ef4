"""The parts of the package in a program of one's own: any trainer, any data set, no configuration."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from deepmatte import DeepImageMatting, LossTable, MattingMetrics, MattingModule, Optimisation, collate
from deepmatte.batch import example_batch
from deepmatte.ops.zones import impose_trimap


class Discs(Dataset[dict[str, Any]]):
    """Soft discs, with nothing in a sample but what networks and losses read."""

    def __init__(self) -> None:
        self.batch = example_batch(num=4, size=32)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": self.batch["image"][index], **{k: self.batch[k][index] for k in ("alpha", "trimap")}}


def trainer(epochs: int) -> pl.Trainer:
    quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    return pl.Trainer(max_epochs=epochs, enable_checkpointing=False, accelerator="cpu", **quiet)


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
def test_a_plain_trainer_and_loader_train_every_part_and_score_as_the_metric_does() -> None:
    pl.seed_everything(0, verbose=False)
    losses = LossTable({"alpha": {"weight": 1}, "laplacian": {"weight": 1}})
    sgd = Optimisation(partial(torch.optim.SGD, lr=0.05))
    module = MattingModule(DeepImageMatting(width=0.0625), losses, optimisation=sgd)
    loader = DataLoader(Discs(), 2, collate_fn=collate)
    before = {name: value.detach().clone() for name, value in module.model.named_parameters()}
    training = []
    hook = module.model.register_forward_hook(
        lambda model, *_: training.append(model.encoder_decoder.training)
    )
    fit = trainer(2)
    fit.fit(module, loader, loader)
    hook.remove()
    assert training.count(True) == 4  # two batches of each epoch
    assert (module.stage.run_epochs, fit.global_step) == (2, 4)
    moved = {
        name.split(".")[0] for name, value in module.model.named_parameters() if (value != before[name]).any()
    }
    assert moved == {"encoder_decoder", "refiner"}
    (scores,) = trainer(1).test(module, loader, verbose=False)
    metrics = MattingMetrics()
    module.eval()
    with torch.no_grad():
        for batch in loader:
            alpha = impose_trimap(module.model(batch).alpha, batch["trimap"])
            metrics.update(alpha, batch["alpha"], batch["trimap"])
    assert scores["test/sad"] == pytest.approx(float(metrics.compute()["sad"]), rel=1e-5)


def test_importing_the_package_loads_nothing() -> None:
    heavy = "{'torch', 'numpy', 'pytorch_lightning', 'hydra', 'cv2'}"
    code = f"import sys, deepmatte; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
