"""Networks that judge without learning from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within it the parameters of ``module`` get no gradient, while its inputs do.

    >>> import torch
    >>> judge, matte = nn.Linear(1, 1), torch.ones(1, requires_grad=True)
    >>> with frozen(judge):
    ...     verdict = judge(matte)
    >>> verdict.backward()
    >>> judge.weight.grad is None, bool(matte.grad == judge.weight)
    (True, True)
    """
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
