"""Sweeps in processes of their own."""

from sweeping import stubbed, sweeps

__all__ = ["stubbed", "sweeps"]
