"""The plain vision transformer of ViTDet (Li, Mao, Girshick, He 2022) as ViTMatte uses it.

Layers are named as in hustvl/ViTMatte, and so as in the weights of DINO and MAE.
"""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from deepmatte.models.encoders.encoder import Encoder

PATCH = 16
"""Pixels of a side of a patch, which is a token."""

PRETRAINED = 14
"""Tokens of a side of the pictures that the weights were pretrained on: 224 pixels."""


def positions_between(table: Tensor, size: int) -> Tensor:
    """Return the embedding (size, size, C) of the relative position of each query to each key.

    ``table`` (2 s - 1, C) holds those from -(s - 1) to s - 1, and is resized linearly if s isn't ``size``.
    """
    if len(table) != 2 * size - 1:
        table = F.interpolate(table.t()[None], size=2 * size - 1, mode="linear")[0].t()
    steps = torch.arange(size, device=table.device)
    return table[steps[:, None] - steps[None, :] + size - 1]


class Attention(nn.Module):
    """Attention of all tokens to all, with decomposed relative positions (MViTv2, Li et al. 2022).

    Without ``fused`` it is computed step by step, as `deepmatte export` needs it: the same to rounding.
    """

    def __init__(self, dim: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.fused = True
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * size - 1, dim // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * size - 1, dim // heads))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (N, H, W, dim) to the like."""
        num, height, width, dim = x.shape
        qkv = self.qkv(x).reshape(num, height * width, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (N, heads, H W, dim / heads)
        grid = q.unflatten(2, (height, width))
        rows = torch.einsum("nahwc,hkc->nahwk", grid, positions_between(self.rel_pos_h, height))
        columns = torch.einsum("nahwc,wkc->nahwk", grid, positions_between(self.rel_pos_w, width))
        bias = (rows[..., :, None] + columns[..., None, :]).flatten(4).flatten(2, 3)
        if self.fused:
            x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        else:
            x = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]) + bias, -1) @ v
        return self.proj(x.transpose(1, 2).reshape(num, height, width, dim))


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each pixel."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Residual(nn.Module):
    """A bottleneck of convolutions beside the identity; its last scale is zero at the start."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim // 2, 1, bias=False)
        self.norm1 = ChannelNorm(dim // 2, eps=1e-6)
        self.conv2 = nn.Conv2d(dim // 2, dim // 2, 3, padding=1, bias=False)
        self.norm2 = ChannelNorm(dim // 2, eps=1e-6)
        self.conv3 = nn.Conv2d(dim // 2, dim, 1, bias=False)
        self.norm3 = ChannelNorm(dim, eps=1e-6)
        for conv in (self.conv1, self.conv2, self.conv3):
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.norm3.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, dim, H, W) to the like."""
        hidden = F.gelu(self.norm1(self.conv1(x)))
        hidden = F.gelu(self.norm2(self.conv2(hidden)))
        return x + self.norm3(self.conv3(hidden))


class Mlp(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, dim) to the like."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention within windows, or of the whole picture and then with a bottleneck, and an MLP."""

    def __init__(self, dim: int, heads: int, size: int, window: int | None) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads, window or size)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim)
        self.residual = None if window else Residual(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (N, H, W, dim) to the like."""
        x = x + self._attended(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        if self.residual is None:
            return x
        return self.residual(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    def _attended(self, x: Tensor) -> Tensor:
        if self.window is None:
            return self.attn(x)
        num, height, width, dim = x.shape
        side = self.window
        rows, columns = (height + side - 1) // side, (width + side - 1) // side
        x = F.pad(x, (0, 0, 0, columns * side - width, 0, rows * side - height))
        windows = x.reshape(num, rows, side, columns, side, dim).transpose(2, 3).flatten(0, 2)
        x = self.attn(windows).reshape(num, rows, columns, side, side, dim).transpose(2, 3)
        return x.reshape(num, rows * side, columns * side, dim)[:, :height, :width]


class PatchEmbedding(nn.Module):
    """A linear map of each patch."""

    def __init__(self, inputs: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, dim, PATCH, stride=PATCH)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to tokens (N, H / 16, W / 16, dim)."""
        return self.proj(x).permute(0, 2, 3, 1)


class VisionTransformer(Encoder):
    """Patches of 16x16 pixels, and blocks of attention; its one level has the patches' size.

    Args:
        dim: channels of a token.
        heads: of each attention; they share the channels.
        depth: number of blocks.
        span: every so many blocks one attends to the whole picture, the others within windows.
        inputs: channels of the input.
        window: tokens of a side of a window.
        size: tokens of a side of the pictures in training, for which relative positions have parameters; for
            other sizes they are resized.
        checkpointing: compute a block anew in the backward pass instead of keeping what it computed: less
            memory, a third more time.
    """

    def __init__(
        self,
        dim: int = 384,
        heads: int = 6,
        depth: int = 12,
        span: int = 3,
        inputs: int = 3,
        window: int = 14,
        size: int = 32,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.strides = (dim,), (PATCH,)
        self.checkpointing = checkpointing
        # The first position is the class token's, which published weights have and matting has no use for.
        self.pos_embed = nn.Parameter(torch.zeros(1, PRETRAINED**2 + 1, dim))
        self.patch_embed = PatchEmbedding(inputs, dim)
        self.blocks = nn.ModuleList(
            Block(dim, heads, size, None if number % span == 0 else window) for number in range(1, depth + 1)
        )
        normal = partial(nn.init.trunc_normal_, std=0.02)
        normal(self.pos_embed)
        for part in self.modules():
            if isinstance(part, nn.Linear):
                normal(part.weight)
                nn.init.zeros_(part.bias)

    def positions(self, height: int, width: int) -> Tensor:
        """Return the absolute positions (1, height, width, dim), resized from 14x14."""
        side = math.isqrt(self.pos_embed.shape[1] - 1)
        table = self.pos_embed[:, 1:].unflatten(1, (side, side))
        if (height, width) == (side, side):
            return table
        table = table.permute(0, 3, 1, 2)
        return F.interpolate(table, size=(height, width), mode="bicubic").permute(0, 2, 3, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, inputs, H, W), H and W multiples of 16, to the features (N, dim, H / 16, W / 16)."""
        x = self.patch_embed(x)
        x = x + self.positions(x.shape[1], x.shape[2])
        for block in self.blocks:
            kept = not (self.checkpointing and self.training and torch.is_grad_enabled())
            x = block(x) if kept else checkpoint(block, x, use_reentrant=False)
        return [x.permute(0, 3, 1, 2)]
