"""The connectivity error as a torchmetric."""

from __future__ import annotations

from deepmatte.metrics.matting import SingleScore


class Connectivity(SingleScore):
    """Conn / 1000, mean over images; see ``functional.connectivity.conn``.

    >>> from deepmatte.batch import example_batch
    >>> batch, metric = example_batch(), Connectivity()
    >>> metric.update(batch["alpha"], batch["alpha"], batch["trimap"])
    >>> metric.compute()
    tensor(0., dtype=torch.float64)
    """

    score = "conn"
