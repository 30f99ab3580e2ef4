"""Losses: one table of terms, one signature, right on fractional alpha."""

from deepmatte.losses.table.loss_table import LossResult, LossTable
from deepmatte.losses.terms import LOSSES

__all__ = ["LOSSES", "LossResult", "LossTable"]
