"""The transforms of `opencv_backend` are held to albumentations', an independent library, bit by bit."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from deepmatte.data.composing import albumentations_backend, opencv_backend
from deepmatte.data.composing.options import Blur, Gamma, Jitter, Jpeg, Noise

RNG = np.random.default_rng(3)
PICTURES = (
    RNG.integers(0, 256, (37, 50, 3), dtype=np.uint8),
    cv2.GaussianBlur(RNG.integers(0, 256, (64, 41, 3), dtype=np.uint8), (0, 0), 4),
    np.full((9, 9, 3), 255, np.uint8),
    RNG.integers(0, 4, (16, 16, 3), dtype=np.uint8),
)
KEYS = (
    Jitter(brightness=0.125, contrast=0.125, saturation=0.125),
    Jitter(brightness=1, contrast=1, saturation=1, hue=0.5),
    Jitter(hue=0.1),
    Jitter(contrast=0.4),
    Blur(0.5, (0.5, 1.5)),
    Blur(1.0, (0.1, 6.0)),
    Gamma(0.5, (0.7, 1.4)),
    Gamma(1.0, (0.2, 4.0)),
    Noise(0.5, (2.0, 12.0)),
    Noise(1.0, (0.5, 120.0)),
    Jpeg(0.5, (40, 95)),
    Jpeg(1.0, (1, 100)),
)


@pytest.mark.parametrize("keys", KEYS, ids=str)
def test_a_transform_equals_that_of_albumentations_to_the_bit(keys):
    ours, theirs = opencv_backend.transform(keys), albumentations_backend.transform(keys)
    changed = 0
    for seed in (*range(60), 2**32 - 1):
        for picture in PICTURES:
            result = ours(seed, picture)
            np.testing.assert_array_equal(result, theirs(seed, picture), err_msg=f"seed {seed}")
            changed += not np.array_equal(result, picture)
    assert changed


def test_nothing_imports_albumentations():
    code = """
import sys
import numpy as np
import deepmatte.data
from deepmatte.data.composing.composition import Composition
strengths = {"brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.1}
kinds = {kind: {"probability": 1.0} for kind in ("blur", "gamma", "noise", "jpeg")}
Composition(foreground_jitter=strengths, degrade=kinds, backend="opencv").warm_up()
assert "albumentations" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
