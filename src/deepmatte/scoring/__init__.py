"""Evaluating runs and baselines, and matting photographs."""
