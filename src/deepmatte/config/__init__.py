"""Configurations: where they are, composing, building, checking them."""
