"""What a run keeps to go on: checkpoints as files, when they are written, and starting from weights."""
