"""The refiner of Background Matting V2: the matte again, in those patches in which the base errs most."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepmatte.errors import InputError

Mode = Literal["sampling", "thresholding", "full"]
Refinement = Literal["replace", "correct"]

PATCH = 4
"""Side of a patch in pixels of the full size."""

HALF_MARGIN, FULL_MARGIN = 3, 2
"""What the convolutions see beyond a patch: pixels of the half size and of the full size."""


class Refiner(nn.Module):
    """Two convolutions at half size and two at full size, without padding, on selected patches of 4x4 pixels.

    ``sampling`` selects the patches of the largest expected errors, at most ``sample_pixels`` pixels of each
    picture and never one without any expected error; ``thresholding`` those whose expected error exceeds
    ``threshold``; ``full`` all of them, on whole planes instead of patches, which is the same to the bit
    and costs a fifth. In training at least one patch of each picture is selected: a process without any
    would have no gradients for the refiner, on which distributed training waits.

    Args:
        mode: how patches are selected.
        sample_pixels: of each picture, for ``sampling``; more than there are select all.
        threshold: expected error in [0, 1], for ``thresholding``.
        hidden: channels of the base's hidden features.
        refinement: ``replace``, as published: the result is what a patch shows; or ``correct``: it is added
            to the enlarged coarse matte, so that training starts with the coarse matte itself. Published
            weights fit the first alone, hence the last convolution has another name in the second:
            ``correction`` instead of ``conv4``.

    Raises:
        InputError: a mode, number of pixels or threshold that there is not.
    """

    def __init__(
        self,
        mode: Mode = "sampling",
        sample_pixels: int = 80_000,
        threshold: float = 0.1,
        hidden: int = 32,
        refinement: Refinement = "replace",
    ) -> None:
        super().__init__()
        if mode not in get_args(Mode):
            raise InputError(f"model.refine_mode={mode}: choose one of {', '.join(get_args(Mode))}")
        if refinement not in get_args(Refinement):
            raise InputError(f"model.refinement={refinement}: choose replace or correct")
        if sample_pixels < PATCH**2:
            raise InputError(
                f"model.sample_pixels={sample_pixels}: a patch has {PATCH**2} pixels; give at least that many"
            )
        if not 0 <= threshold <= 1:
            raise InputError(f"model.threshold={threshold}: expected errors lie between 0 and 1")
        self.mode, self.sample_pixels, self.threshold = mode, sample_pixels, threshold
        self.conv1 = nn.Conv2d(hidden + 4 + 6, 24, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(24)
        self.conv2 = nn.Conv2d(24, 16, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.conv3 = nn.Conv2d(16 + 6, 12, 3, bias=False)
        self.bn3 = nn.BatchNorm2d(12)
        self.corrects = refinement == "correct"
        last = nn.Conv2d(12, 4, 3)
        assert last.bias is not None
        if self.corrects:
            self.correction = last
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        else:
            self.conv4 = last
            nn.init.constant_(
                last.bias[:1], 0.5
            )  # around 0, half of the alphas are clamped, and learn nothing

    def forward(
        self, pictures: Tensor, coarse: Tensor, error: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return refined alpha and foreground residual (N, 4, H, W), not clamped, and the selected patches.

        Args:
            pictures: photograph and plate, (N, 6, H, W) in [0, 1]; H and W are multiples of 4.
            coarse: the base's alpha in [0, 1] and foreground residual, (N, 4, h, w).
            error: its expected error in [0, 1], (N, 1, h, w).
            hidden: its hidden features, (N, hidden, h, w).
        """
        height, width = pictures.shape[-2:]
        half_size = (height // 2, width // 2)
        features = [_resized(torch.cat([hidden, coarse], 1), half_size), _resized(pictures, half_size)]
        half = F.pad(torch.cat(features, 1), (HALF_MARGIN,) * 4)
        full = F.pad(pictures, (FULL_MARGIN,) * 4)
        if self.mode == "full":
            refined = self._convolved(half, full).to(coarse.dtype)
            if self.corrects:
                refined = _resized(coarse, (height, width)) + refined
            return refined, torch.ones_like(refined[:, 0, ::PATCH, ::PATCH], dtype=torch.bool)
        selected = self.select(_resized(error, (height // PATCH, width // PATCH)))
        enlarged = _resized(coarse, (height, width))
        cells = selected.nonzero(as_tuple=True)
        if not len(cells[0]):
            return enlarged, selected
        patches = self._convolved(
            _patches(half, cells, PATCH // 2, HALF_MARGIN), _patches(full, cells, PATCH, FULL_MARGIN)
        )
        return _with_patches(enlarged, patches.to(enlarged.dtype), cells, add=self.corrects), selected

    @torch.no_grad()
    def select(self, error: Tensor) -> Tensor:
        """Return the patches to be refined, bool (N, h, w), by the expected errors (N, 1, h, w) of all.

        No gradient passes: the error map learns from its own loss alone.
        """
        errors = error.flatten(1)
        if self.mode == "sampling":
            wanted = min(self.sample_pixels // PATCH**2, errors.shape[1])
            largest = errors.topk(wanted, dim=1).indices
            selected = torch.zeros_like(errors, dtype=torch.bool).scatter(1, largest, True) & (errors > 0)
        else:
            selected = errors > self.threshold
        if self.training:
            # It is among the selected ones already, wherever there are any.
            worst = errors.topk(1, dim=1).indices
            selected = torch.where(selected.any(1, keepdim=True), selected, selected.scatter(1, worst, True))
        return selected.unflatten(1, error.shape[-2:])

    def _convolved(self, half: Tensor, full: Tensor) -> Tensor:
        """Return the result (P, 4, H, W) of P patches or planes that are larger by the margins."""
        x = F.relu(self.bn1(self.conv1(half)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.relu(self.bn3(self.conv3(torch.cat([x, full], 1))))
        return (self.correction if self.corrects else self.conv4)(x)


def _resized(planes: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(planes, size, mode="bilinear", align_corners=False)


def _patches(planes: Tensor, cells: tuple[Tensor, ...], side: int, margin: int) -> Tensor:
    """Return the patches (P, C, side + 2 margin, side + 2 margin) of padded planes that ``cells`` name."""
    window = side + 2 * margin
    return planes.permute(0, 2, 3, 1).unfold(1, window, side).unfold(2, window, side)[cells]


def _with_patches(planes: Tensor, patches: Tensor, cells: tuple[Tensor, ...], add: bool) -> Tensor:
    """Return planes (N, C, H, W) with patches (P, C, 4, 4) in the place of what is there, or added to it."""
    num, channels, height, width = planes.shape
    grid = planes.reshape(num, channels, height // PATCH, PATCH, width // PATCH, PATCH).permute(
        0, 2, 4, 1, 3, 5
    )
    return grid.index_put(cells, patches, accumulate=add).permute(0, 3, 1, 4, 2, 5).reshape(planes.shape)
