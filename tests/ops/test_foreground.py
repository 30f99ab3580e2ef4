"""The estimator of foreground colours is pymatting's, at a fifth of the compile time."""

import subprocess
import sys

import numpy as np
import pytest

from deepmatte.ops.foreground import estimate_foreground

# A process of its own: it has to see a Python that has not imported pymatting yet.
PROGRAM = """
import sys
from deepmatte.ops.foreground import estimator
ours = estimator()
assert "pymatting" not in sys.modules and "pymatting.foreground" not in sys.modules
assert "pymatting.alpha" not in sys.modules
"""
AND_A_FORK = """
import os
import numpy as np
from deepmatte.ops.foreground import estimate_foreground
colours, alpha = np.full((6, 8, 3), 0.25), np.full((6, 8), 0.5)
whole = estimate_foreground(colours, alpha)
child = os.fork()
if not child:
    os._exit(0 if (estimate_foreground(colours, alpha) == whole).all() else 1)
assert os.waitpid(child, 0)[1] == 0
"""
AND_THE_WHOLE_PACKAGE = """
import pymatting
assert pymatting.__file__
assert pymatting.estimate_foreground_ml is ours
assert pymatting.foreground.__file__
"""


def run(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_the_estimator_comes_without_the_rest_of_pymatting_and_works_in_forked_processes() -> None:
    """Loaders and `data verify` fork their workers after the first picture was decoded."""
    run(PROGRAM + AND_A_FORK)


@pytest.mark.slow  # the whole package compiles for a minute in a fresh environment
def test_pymatting_is_itself_when_it_is_imported_later() -> None:
    run(PROGRAM + AND_THE_WHOLE_PACKAGE)


def test_constant_colours_are_found_exactly() -> None:
    alpha = np.zeros((24, 32))
    alpha[4:20, 4:28] = 1
    alpha[4:20, 10:22] = np.linspace(1, 0.2, 12)
    foreground, background = np.array([0.9, 0.4, 0.1]), np.array([0.2, 0.5, 0.7])
    image = alpha[..., None] * foreground + (1 - alpha[..., None]) * background
    estimated = estimate_foreground(image, alpha)
    assert estimated.dtype == np.float32
    assert np.abs(estimated - foreground)[alpha > 0].max() < 1 / 255
