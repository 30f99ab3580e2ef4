"""Composition-1k's images, bit for bit as its own script makes them."""
