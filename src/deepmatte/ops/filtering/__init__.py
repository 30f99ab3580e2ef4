"""Filters of pictures: separable, guided, derivatives of Gaussians, pyramids."""
