import ast
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import deepmatte
from deepmatte.data.composing.augmentation import ColorJitter, Flip
from deepmatte.data.composing.options import Jitter
from deepmatte.errors import InputError

COLOURS = np.random.default_rng(1).integers(0, 256, (24, 30, 3), dtype=np.uint8)
ALPHA = np.random.default_rng(2).integers(0, 65536, (24, 30), dtype=np.uint16)


def jitter(**strengths):
    strengths = strengths or {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1}
    return ColorJitter(Jitter(**strengths), "albumentations")


def global_state():
    kind, keys, *rest = np.random.get_state()
    return kind, keys.tobytes(), tuple(rest), random.getstate(), torch.get_rng_state().numpy().tobytes()


def test_augmentations_are_functions_of_the_generator_alone():
    transform, flip = jitter(), Flip(0.5)
    first = [transform(np.random.default_rng(seed), COLOURS) for seed in range(8)]
    np.random.seed(99)
    random.seed(99)
    for seed in reversed(range(8)):
        np.testing.assert_array_equal(transform(np.random.default_rng(seed), COLOURS), first[seed])
        np.testing.assert_array_equal(jitter()(np.random.default_rng(seed), COLOURS), first[seed])
        a, b = (flip(np.random.default_rng(seed), COLOURS, ALPHA) for _ in range(2))
        np.testing.assert_array_equal(a[0], b[0])
    assert len({picture.tobytes() for picture in first}) == 8


def test_augmentations_leave_the_global_generators_alone():
    transform, flip = jitter(), Flip(0.5)
    before = global_state()
    for seed in range(5):
        transform(np.random.default_rng(seed), COLOURS)
        flip(np.random.default_rng(seed), COLOURS, ALPHA)
    assert global_state() == before


def test_inputs_are_not_changed_and_may_be_read_only():
    colours = COLOURS.copy()
    colours.flags.writeable = False
    jitter()(np.random.default_rng(0), colours)
    Flip(1.0)(np.random.default_rng(0), colours, ALPHA)
    np.testing.assert_array_equal(colours, COLOURS)


def test_brightness_multiplies_within_its_strength():
    grey = np.full((4, 4, 3), 100, np.uint8)
    factors = [
        jitter(brightness=0.2)(np.random.default_rng(seed), grey)[0, 0, 0] / 100 for seed in range(300)
    ]
    assert min(factors) >= 0.79
    assert max(factors) <= 1.21
    assert min(factors) < 0.83 < 1.17 < max(factors)


def test_no_strength_is_the_identity():
    assert ColorJitter(Jitter(), "opencv")(np.random.default_rng(0), COLOURS) is COLOURS
    assert (
        ColorJitter(Jitter(brightness=0.0, hue=0.0), "opencv")(np.random.default_rng(0), COLOURS) is COLOURS
    )


def test_flip_mirrors_colours_and_alpha_together_half_of_the_time():
    flip, mirrored = Flip(0.5), 0
    for seed in range(400):
        colours, alpha = flip(np.random.default_rng(seed), COLOURS, ALPHA)
        turned = np.array_equal(colours, COLOURS[:, ::-1])
        np.testing.assert_array_equal(alpha, ALPHA[:, ::-1] if turned else ALPHA)
        assert turned or np.array_equal(colours, COLOURS)
        mirrored += turned
    # Four standard deviations of a binomial are 40.
    assert abs(mirrored - 200) < 40


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_certain_flips_are_certain(probability):
    for seed in range(5):
        (colours,) = Flip(probability)(np.random.default_rng(seed), COLOURS)
        np.testing.assert_array_equal(colours, COLOURS[:, ::-1] if probability else COLOURS)


def imports_albumentations(nodes) -> bool:
    return any(
        isinstance(node, ast.Import | ast.ImportFrom)
        and "albumentations" in ast.unparse(node).replace("albumentations_backend", "")
        for node in nodes
    )


def test_albumentations_is_imported_by_one_module_and_not_at_its_top():
    package = Path(deepmatte.__file__).parent
    texts = {file.relative_to(package).as_posix(): file.read_text() for file in package.rglob("*.py")}
    trees = {name: ast.parse(text) for name, text in texts.items() if "albumentations" in text}
    assert [name for name, tree in trees.items() if imports_albumentations(ast.walk(tree))] == [
        "data/composing/albumentations_backend.py"
    ]
    assert not imports_albumentations(trees["data/composing/albumentations_backend.py"].body)


def test_a_missing_albumentations_is_one_line_with_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(InputError, match=r"composition\.backend=opencv"):
        jitter()


def test_albumentations_never_asks_for_updates(monkeypatch):
    monkeypatch.delenv("NO_ALBUMENTATIONS_UPDATE", raising=False)
    jitter()
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"
