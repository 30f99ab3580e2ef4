"""Studies: an experiment's sweep, its baselines, and the page with the result."""
