"""Time of each term beside the best library's, and of each preset beside a training step of ``model=dim``.

    python benchmarks/losses.py            # MONAI and kornia where installed, else torch's own operators
    python benchmarks/losses.py --presets  # also the presets; runs the full network, about half a minute

Forward and backward at 8 x 1 x 320 x 320, over the whole image as the libraries do it. Ours and theirs are
timed in turns, so a busy machine disturbs both; what counts is the ratio ours / theirs.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from deepmatte.batch import Batch, Matte, example_batch
from deepmatte.losses import LOSSES, LossTable
from deepmatte.losses.terms import WITHOUT_CRITIC
from deepmatte.ops.compositing import composite
from deepmatte.ops.filtering.separable import gaussian_taps

try:
    import kornia
except ImportError:
    kornia = None
try:
    import monai
except ImportError:
    monai = None

Loss = Callable[[Tensor, Tensor, Batch], Tensor]
"""A library's loss of the prediction (alpha, or the logit where it reads that), the truth and the batch."""


def torch_gradient_energy(p: Tensor, t: Tensor, batch: Batch) -> Tensor:
    smooth, slope = (torch.tensor(taps) for taps in gaussian_taps(1.4))
    kernel = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None]
    lengths = []
    for alpha in (p, t):
        low, high = alpha.amin((-2, -1), keepdim=True), alpha.amax((-2, -1), keepdim=True)
        parts = F.conv2d(F.pad((alpha - low) / (high - low), (4, 4, 4, 4), mode="replicate"), kernel)
        lengths.append((parts.square().sum(1) + 1e-12).sqrt())
    return F.mse_loss(*lengths)


def torch_ddc(p: Tensor, t: Tensor, batch: Batch) -> Tensor:
    """As published: windows of all pixels at once, sample by sample to fit in memory."""
    losses = []
    for alpha, image in zip(p.split(1), batch["image"].split(1), strict=True):
        colours = F.unfold(image, 11, padding=5).reshape(1, 3, 121, -1)
        distances = (image.reshape(1, 3, 1, -1) - colours).norm(dim=1)
        near = distances.topk(11, dim=1, largest=False)
        changes = (alpha.reshape(1, 1, -1) - F.unfold(alpha, 11, padding=5)).gather(1, near.indices)
        losses.append((near.values - changes).abs().mean())
    return torch.stack(losses).mean()


def kornia_laplacian(p: Tensor, t: Tensor, batch: Batch) -> Tensor:
    levels = (kornia.geometry.transform.build_laplacian_pyramid(alpha, 6)[:5] for alpha in (p, t))
    return sum(2**i * F.l1_loss(a, b) for i, (a, b) in enumerate(zip(*levels, strict=True))) / 5


def kornia_penalty(p: Tensor, t: Tensor, batch: Batch) -> Tensor:
    found, wanted = (kornia.filters.spatial_gradient(alpha, normalized=False) for alpha in (p, t))
    return F.l1_loss(found, wanted) + 0.01 * found.abs().mean()


TORCH: dict[tuple[str, tuple], Loss] = {
    ("alpha", (("distance", "l1"),)): lambda p, t, b: F.l1_loss(p, t),
    ("alpha", ()): lambda p, t, b: (F.mse_loss(p, t, reduction="none") + 1e-12).sqrt().mean(),
    ("composition", (("distance", "l1"),)): lambda p, t, b: F.l1_loss(
        composite(b["foreground"], b["background"], p), b["composite"]
    ),
    ("bce", ()): lambda p, t, b: F.binary_cross_entropy_with_logits(p, t),
    ("bce", (("form", "textbook"), ("positive_weight", 2.5))): lambda p, t, b: (
        F.binary_cross_entropy_with_logits(p, t, pos_weight=torch.tensor(2.5))
    ),
    ("grad_metric", ()): torch_gradient_energy,
    ("ssim", (("border", "reflect"),)): lambda p, t, b: 1 - structural_similarity_index_measure(p, t),
    ("ddc", ()): torch_ddc,
}
KORNIA: dict[tuple[str, tuple], Loss] = {
    ("alpha", (("eps", 1.0),)): lambda p, t, b: kornia.losses.charbonnier_loss(p, t, reduction="mean"),
    ("gradient", (("filter", "sobel"),)): lambda p, t, b: F.l1_loss(
        kornia.filters.sobel(p, normalized=False), kornia.filters.sobel(t)
    ),
    ("laplacian", ()): kornia_laplacian,
    ("smoothness", ()): lambda p, t, b: kornia.losses.total_variation(p, reduction="mean").mean(),
    ("smoothness", (("edge_scale", 1.0),)): lambda p, t, b: kornia.losses.inverse_depth_smoothness_loss(
        p, b["image"]
    ),
    ("gradient_penalty", ()): kornia_penalty,
    ("focal", (("form", "textbook"), ("balance", 0.25))): lambda p, t, b: (
        kornia.losses.binary_focal_loss_with_logits(p, t, reduction="mean")
    ),
    ("tversky", (("form", "textbook"),)): lambda p, t, b: monai.losses.TverskyLoss(
        alpha=0.3, beta=0.7, batch=True
    )(p, t),
    ("lovasz", (("form", "textbook"),)): lambda p, t, b: kornia.losses.lovasz_hinge_loss(
        p, (t[:, 0] >= 0.5).float()
    ),
}
MONAI: dict[tuple[str, tuple], Loss] = {
    ("focal", (("form", "textbook"),)): lambda p, t, b: monai.losses.FocalLoss(gamma=2.0)(p, t),
    ("dice", (("form", "textbook"),)): lambda p, t, b: monai.losses.DiceLoss(batch=True)(p, t),
    ("dice", ()): lambda p, t, b: monai.losses.DiceLoss(batch=True, soft_label=True)(p, t),
    ("jaccard", ()): lambda p, t, b: monai.losses.DiceLoss(batch=True, jaccard=True, soft_label=True)(p, t),
    ("tversky", ()): lambda p, t, b: monai.losses.TverskyLoss(
        alpha=0.3, beta=0.7, batch=True, soft_label=True
    )(p, t),
}


def reads_logit(name: str, options: dict) -> bool:
    return name in ("bce", "focal") or (name == "lovasz" and options.get("form") == "textbook")


def seconds(step: Callable[[], object]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def in_turns(steps: list[Callable[[], object]], rounds: int) -> list[float]:
    """Return the median seconds of each step; every round runs them all, after one warm-up round."""
    times = [[seconds(step) for step in steps] for _ in range(rounds + 1)][1:]
    return [median(column) for column in zip(*times, strict=True)]


def prediction(batch: Batch) -> Tensor:
    return (0.05 + 0.9 * batch["alpha"] + 0.03 * torch.sin(torch.arange(batch["alpha"].shape[-1]) / 3)).clamp(
        0.01, 0.99
    )


def our_step(name: str, options: dict, batch: Batch) -> Callable[[], None]:
    alpha, logit = prediction(batch), torch.logit(prediction(batch))

    def step() -> None:
        if reads_logit(name, options):
            z = logit.clone().requires_grad_()
            matte = Matte(
                torch.sigmoid(z) if name == "focal" else alpha, logit=z
            )  # the libraries' focal losses do that too
        else:
            matte = Matte(alpha.clone().requires_grad_())
        LOSSES[name].function(matte, batch, **options).backward()

    return step


def their_step(name: str, options: dict, loss: Loss, batch: Batch) -> Callable[[], None]:
    start = torch.logit(prediction(batch)) if reads_logit(name, options) else prediction(batch)
    return lambda: loss(start.clone().requires_grad_(), batch["alpha"], batch).backward()


def compare_terms(rounds: int) -> None:
    batch = example_batch(num=8, size=320)
    rivals = {"torch": TORCH, "kornia": KORNIA if kornia and monai else {}, "MONAI": MONAI if monai else {}}
    print(f"{'term':52}{'ours ms':>9}{'theirs ms':>11}  ratio  library")
    for library, losses in rivals.items():
        for (name, pairs), loss in losses.items():
            options = {"region": "whole", **dict(pairs)}
            ours, theirs = in_turns(
                [our_step(name, options, batch), their_step(name, options, loss, batch)], rounds
            )
            label = " ".join([name, *(f"{key}={value}" for key, value in pairs)])
            print(
                f"{label:52}{1e3 * ours:9.2f}{1e3 * theirs:11.2f}{ours / theirs:7.2f}  {library}", flush=True
            )
    unit, *costs = in_turns(
        [our_step("alpha", {}, batch), *(our_step(name, {}, batch) for name in WITHOUT_CRITIC)], rounds
    )
    print(f"\ncost of each term at its defaults, in units of alpha ({1e3 * unit:.2f} ms)")
    print("  ".join(f"{name} {cost / unit:.1f}" for name, cost in zip(WITHOUT_CRITIC, costs, strict=True)))


def compare_presets(rounds: int) -> None:
    from omegaconf import OmegaConf

    from deepmatte.config.compose import compose
    from deepmatte.config.places import conf_dir
    from deepmatte.models import DeepImageMatting

    batch = example_batch(num=1, size=320)
    model = DeepImageMatting()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)

    def train_step() -> None:
        optimizer.zero_grad()
        model(batch, refine=False).alpha.mean().backward()
        optimizer.step()

    names = sorted(path.stem for path in (conf_dir() / "loss").glob("*.yaml") if path.stem != "table")
    tables = {
        name: LossTable(OmegaConf.to_container(compose(f"loss/{name}").loss, resolve=True)) for name in names
    }

    def loss_step(table: LossTable) -> Callable[[], None]:
        def step() -> None:
            logit = torch.logit(prediction(batch)).requires_grad_()
            table(Matte(torch.sigmoid(logit), logit=logit), batch, progress=1.0).total.backward()

        return step

    network = median(seconds(train_step) for _ in range(3))
    costs = in_turns([loss_step(table) for table in tables.values()], rounds)
    print(f"\npresets in percent of a training step of model=dim at 1 x 320 x 320 ({network:.2f} s)")
    print("  ".join(f"{name} {100 * cost / network:.2f}" for name, cost in zip(names, costs, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--presets", action="store_true", help="also time the presets beside the full network"
    )
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    versions = {
        name: importlib.metadata.version(name)
        for name, module in (("monai", monai), ("kornia", kornia))
        if module
    }
    print(
        f"torch {torch.__version__}, {versions or 'no MONAI, no kornia'}, {torch.get_num_threads()} threads"
    )
    compare_terms(arguments.rounds)
    if arguments.presets:
        compare_presets(arguments.rounds)


if __name__ == "__main__":
    main()
