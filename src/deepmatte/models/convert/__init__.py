"""Checkpoints of other programs, in the layout of the networks here."""
