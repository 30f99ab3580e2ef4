"""Clips: training samples in a row that are frames of one composite, whose things move from one to the next.

For losses over time. The motion is that of still layers, as in Robust Video Matting (Lin et al., WACV 2022),
which trains on stills with motion, too: foreground and background shift, turn and grow each on its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepmatte.data.composing.options import option, strength
from deepmatte.data.composing.resize import Window
from deepmatte.errors import InputError


@dataclass(frozen=True)
class Clip:
    """How many samples in a row are one clip, and how far things move from frame to frame, at most.

    Velocities are drawn for each clip and each layer, uniformly between plus and minus the keys, and stay the
    same through the clip. What the middle of a clip shows is what a sample without motion would show.

    Attributes:
        frames: samples of a clip; 1 makes all samples stills.
        shift: of a foreground, along each axis, in parts of the sample's side.
        rotation: of a foreground, in degrees.
        scale: growth of a foreground, as a share.
        background: of the background, along each axis, in parts of the sample's side; it stops at the border
            of its picture.
    """

    frames: int = option(1, lambda num: isinstance(num, int) and num >= 1, "a whole number, 1 or more")
    shift: float = strength(1, 0.02)
    rotation: float = option(1.0, lambda angle: 0 <= angle <= 45, "an angle in degrees, at most 45")
    scale: float = option(0.01, lambda share: 0 <= share < 1, "a share of 0 or more and below 1")
    background: float = strength(1, 0.01)

    def check(self, batch_size: int, world_size: int) -> None:
        """Refuse batches in which clips would be cut.

        Raises:
            InputError: the samples of a process are no multiple of the frames.
        """
        if batch_size // world_size % self.frames:
            share = "" if world_size == 1 else f", {batch_size // world_size} a process,"
            raise InputError(
                f"data.batch_size={batch_size}:{share} has to be a multiple of composition.clip.frames="
                f"{self.frames}, so that no clip is cut"
            )


@dataclass(frozen=True)
class Motion:
    """Where a layer is in one frame: ``linear`` (2, 2), from steps in the frame to steps in the still one.

    ``shift`` (x, y) is how far its window has moved, in parts of the window's sides.
    """

    linear: np.ndarray
    shift: np.ndarray


class Frame:
    """One frame of a clip: where its layers are, and the randomness that no other frame shares.

    ``grain`` draws the degradations. Nothing is taken from ``rng``'s own stream, so that all frames draw the
    same crops and colours from it.
    """

    def __init__(self, clip: Clip, rng: np.random.Generator, number: int) -> None:
        self._clip, self._velocities = clip, rng.spawn(1)[0]
        self.grain = self._velocities.spawn(clip.frames)[number]
        self.time = number - (clip.frames - 1) / 2

    def foreground(self) -> Motion:
        """Draw the velocity of the next foreground, and return where it is."""
        x, y, turn, growth = self.time * self._velocities.uniform(-1, 1, 4)
        angle = np.deg2rad(self._clip.rotation * turn)
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return Motion(turned * (1 + self._clip.scale) ** -growth, self._clip.shift * np.array([x, y]))

    def background(self, window: Window, height: int, width: int) -> Window:
        """Draw the velocity of the background, and return what is seen of it in place of ``window``."""
        x, y = self.time * self._velocities.uniform(-1, 1, 2) * self._clip.background
        top = np.clip(round(window.top + y * window.height), 0, height - window.height)
        left = np.clip(round(window.left + x * window.width), 0, width - window.width)
        return Window(int(top), int(left), window.height, window.width)
