"""Version, splits and sample names of the benchmark; renders nothing."""

from __future__ import annotations

from deepmatte.data.procedural import photographs

VERSION = "1.0"
RELEASE = 1
"""Part of every sample's seed; increases, with VERSION, whenever a pixel of any sample changes."""

CHECKSUMS = {"train": "86b51b92975b6bf5", "val": "9daf0f4f38b4cbc8", "test": "5e607ce27f1a7c2b"}
"""`ProceduralData.digest` of each split for default arguments."""

SPLITS = ("train", "val", "test")

CYCLE = (
    *("hair", "fur", "glass", "defocus", "hair", "feather", "net", "fur"),
    *("veil", "motion", "hair", "foliage", "lace", "fur", "smoke", "hair"),
)
"""The order of the kinds of foreground; every split of a multiple of 16 has the same mixture."""

SCENE_NAMES = ("clutter", "thicket", "wall", "planks", "landscape", "lights", "drapery")


def category(index: int) -> str:
    """Return the kind of foreground number ``index``.

    >>> category(0), category(16)
    ('hair', 'hair')
    """
    return CYCLE[index % len(CYCLE)]


def is_photograph(index: int) -> bool:
    """Return whether background number ``index`` is a photograph rather than a scene.

    Every second one is; every kind of foreground meets both.
    """
    return (index + index // len(CYCLE)) % 2 == 0


def background_kind(split: str, index: int) -> str:
    """Return the photograph or the kind of scene of background number ``index`` of ``split``."""
    return (
        photographs.kind(split, index // 2)
        if is_photograph(index)
        else SCENE_NAMES[(index // 2) % len(SCENE_NAMES)]
    )


def foreground_name(split: str, index: int) -> str:
    """Return the name of a foreground, unique across splits.

    >>> foreground_name("test", 3)
    'defocus_test_0003'
    """
    return f"{category(index)}_{split}_{index:04d}"


def background_name(split: str, index: int) -> str:
    """Return the name of a background, unique across splits."""
    return f"{background_kind(split, index)}_{split}_{index:04d}"
