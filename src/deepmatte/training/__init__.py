"""Training a run: Lightning lives here and above."""
