"""Kept between samples and runs: arrays on disk, decoded pictures, arrays in memory."""
