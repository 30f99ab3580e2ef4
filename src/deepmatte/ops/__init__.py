"""Pure functions on arrays and tensors, shared by the rooms above."""
