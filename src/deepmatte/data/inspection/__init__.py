"""Looking at a data set: describe, verify, contact sheets."""
