"""deepmatte: controlled experiments on losses for image matting."""

__version__ = "0.1.0"
