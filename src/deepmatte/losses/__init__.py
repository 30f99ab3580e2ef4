"""Losses: one table of terms, one signature, right on fractional alpha."""

from deepmatte.losses.table import LOSSES, LossResult, LossTable

__all__ = ["LOSSES", "LossResult", "LossTable"]
