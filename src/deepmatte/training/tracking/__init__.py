"""Where a run is logged: ``metrics.csv`` in its directory, and the programs that ``logger`` chooses."""
