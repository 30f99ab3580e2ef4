"""Pure functions on arrays and tensors that the rooms above share."""
