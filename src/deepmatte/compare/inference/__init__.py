"""How sure a difference is: variances, simultaneous intervals, planning."""
