"""Studies: an experiment's sweep, the classical methods beside it, and the page that says what came out."""
