"""Under DDP every term's value and gradient are those of one process on the joined batch."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from deepmatte.batch import Batch, Matte, example_batch
from deepmatte.losses import LOSSES, LossTable
from deepmatte.losses.terms import WITHOUT_CRITIC

sys.path.insert(0, str(Path(__file__).parent))
from whole_mattes import whole_matte

CASES = [
    *((name, {}) for name in LOSSES),
    *((name, {"reduction": "sample"}) for name in WITHOUT_CRITIC if name != "lovasz"),
    ("adversarial", {"objective": "bce"}),
    ("alpha", {"region": "foreground", "per": "image"}),
    ("alpha", {"region": "band:2"}),
    ("composition", {"region": "known", "per": "image", "reduction": "sample"}),
    ("laplacian", {"region": "whole"}),
    ("bce", {"positive_weight": "auto"}),
    ("focal", {"form": "textbook"}),
    ("jaccard", {"form": "textbook"}),
    ("alpha", {"hardest": 0.25}),
    ("bce", {"hardest": 0.25, "reduction": "sample"}),
    ("composition", {"hardest": 0.1, "region": "whole", "per": "image"}),
    ("laplacian", {"hardest": 0.5}),
    ("alpha", {"output": "coarse", "hardest": 0.5}),
    ("lovasz", {"reduction": "batch"}),
    ("lovasz", {"reduction": "batch", "form": "textbook", "region": "whole"}),
]
SHARES = {  # how many of the samples each process holds
    "uneven": (3, 1),
    "a process without unknown pixels": (2, 1, 1),
    "a process without samples": (3, 0, 1),
}
BALANCED = {"balance": "gradient", "log_cosines": True, **{name: {"weight": 1} for name in LOSSES}}


def joined_batch(share: str) -> Batch:
    batch = example_batch(num=4, size=12, dtype=torch.float64)
    batch["alpha"] = 0.02 + 0.96 * batch["alpha"]
    batch["composite"] = batch["alpha"] * batch["foreground"] + (1 - batch["alpha"]) * batch["background"]
    if share == "a process without unknown pixels":
        batch["trimap"][2] = 0  # the one sample of the second process
    return batch


class Discriminator(nn.Module):
    """Judges single pixels."""

    def forward(self, colours: Tensor, trimap: Tensor) -> Tensor:
        return torch.tanh(3 * colours - 1).sum(1, keepdim=True) + trimap / 255


def predict(scale: Tensor, batch: Batch) -> Matte:
    """Stand in for a network: two shared parameters, and a logit that differs from the truth's everywhere."""
    logit = scale[0] * torch.logit(0.9 * batch["alpha"] + 0.04) + scale[1]
    return whole_matte(torch.sigmoid(logit), logit, Matte(torch.sigmoid(0.5 * logit[..., ::2, ::2])))


def run(config: dict, scale: Tensor, batch: Batch):
    """Return the result of a table, and the gradient of its total."""
    scale = scale.clone().requires_grad_()
    result = LossTable(config)(predict(scale, batch), Batch(**{**batch, "discriminator": Discriminator()}))
    (gradient,) = torch.autograd.grad(result.total, scale)
    return result, gradient


def check(rank: int, world: int, store: str) -> None:
    torch.set_num_threads(1)
    scale = torch.tensor([0.8, 0.3], dtype=torch.float64)
    configs = [
        *(
            {"row": {"term": name, "weight": 1, **options}, "alpha": {"weight": 1e-9}}
            for name, options in CASES
        ),
        BALANCED,
    ]
    shares = [share for share, sizes in SHARES.items() if len(sizes) == world]
    alone = {
        share: [run(config, scale, joined_batch(share)) for config in configs] for share in shares
    }  # no process group yet
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    for share in shares:
        start = sum(SHARES[share][:rank])
        mine = Batch(
            **{key: value[start : start + SHARES[share][rank]] for key, value in joined_batch(share).items()}
        )
        for config, (result, gradient) in zip(configs, alone[share], strict=True):
            shared, part = run(config, scale, mine)
            dist.all_reduce(part)  # what DDP does with the gradients of the parameters
            close = {
                "rtol": 1e-6 if config is BALANCED else 1e-10,
                "atol": 1e-13,
            }  # factors are kept in single precision
            torch.testing.assert_close(
                shared.total, result.total, **close, msg=lambda text, at=(share, config): f"{at}: {text}"
            )
            torch.testing.assert_close(
                part / world, gradient, **close, msg=lambda text, at=(share, config): f"{at}: {text}"
            )
        assert {k: float(v) for k, v in shared.quantities.items()} == pytest.approx(
            {k: float(v) for k, v in result.quantities.items()}, rel=1e-5
        )
        assert shared.factors == pytest.approx(result.factors, rel=1e-5)
        assert {k: float(v) for k, v in shared.cosines.items()} == pytest.approx(
            {k: float(v) for k, v in result.cosines.items()}, abs=1e-5
        )
    if rank == 0:  # validation: processes with different numbers of batches, so no communication
        with torch.no_grad():
            judged = Batch(**{**mine, "discriminator": Discriminator()})
            LossTable(BALANCED)(predict(scale, mine), judged)
    dist.destroy_process_group()


@pytest.mark.parametrize("world", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_value_and_gradient_equal_one_process_on_the_joined_batch(world, tmp_path):
    multiprocessing.set_forkserver_preload(
        ["deepmatte.losses", "pytest"]
    )  # torch is imported once, not by each process
    mp.start_processes(check, args=(world, str(tmp_path / "store")), nprocs=world, start_method="forkserver")
