"""Discs out of focus, a loss and a metric for their edges, and a small network, for deepmatte."""
