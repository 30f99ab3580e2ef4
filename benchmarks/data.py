"""Speed of the loader, against a straightforward one and the bare minimum and by workers, and its memory.

Run: python benchmarks/data.py [DATA] [--samples 10000]. DATA is a folder with cutouts/fg, cutouts/alpha and
backgrounds (default: the environment variable DEEPMATTE_REAL_DATA); without it, the pictures are the embedded
ones, written to files of a temporary folder. Crops of 320, 480 and 640 pixels, resized to 320, with the
recipe of Deep Image Matting.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations
import cv2
import numpy as np
import torch

from deepmatte.data import Composition, FolderData, write_png
from deepmatte.training.datamodule import MattingData

SIDES, SIZE, BATCH = (320, 480, 640), 320, 8
JITTER = {"brightness": 0.125, "contrast": 0.125, "saturation": 0.125}


class Straightforward:
    """The loader that many training scripts of matting share: decode, composite and dilate all, then crop."""

    def __init__(self, foregrounds: list[Path], mattes: list[Path], backgrounds: list[Path]) -> None:
        self.files = foregrounds, mattes, backgrounds
        self.jitter = albumentations.ColorJitter(**JITTER, hue=0, p=1.0)
        self.rng = np.random.default_rng(0)

    def __call__(self) -> dict[str, torch.Tensor]:
        """Return one sample."""
        i = self.rng.integers(len(self.files[0]))
        foreground, alpha = (
            cv2.imread(str(self.files[0][i])),
            cv2.imread(str(self.files[1][i]), cv2.IMREAD_GRAYSCALE),
        )
        background = cv2.imread(str(self.files[2][self.rng.integers(len(self.files[2]))]))
        height, width = alpha.shape
        scale = max(height / background.shape[0], width / background.shape[1])
        enlarged = cv2.resize(background, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)[
            :height, :width
        ]
        background = (
            cv2.resize(enlarged, (width, height)) if enlarged.shape[:2] != (height, width) else enlarged
        )
        matte = alpha[..., None].astype(np.float32) / 255
        image = (matte * foreground + (1 - matte) * background).astype(np.uint8)
        opaque, some = (alpha == 255).astype(np.uint8), (alpha > 0).astype(np.uint8)
        kernels = [
            cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (int(size), int(size)))
            for size in self.rng.integers(1, 30, 2)
        ]
        trimap = np.full(alpha.shape, 128, np.uint8)
        trimap[cv2.erode(opaque, kernels[0]) == 1] = 255
        trimap[cv2.dilate(some, kernels[1]) == 0] = 0
        side = int(self.rng.choice([side for side in SIDES if side <= min(height, width)]))
        rows, columns = np.where(trimap == 128)
        k = self.rng.integers(len(rows))
        top, left = (
            int(np.clip(at[k] - side // 2, 0, limit - side))
            for at, limit in ((rows, height), (columns, width))
        )
        layers = [
            layer[top : top + side, left : left + side]
            for layer in (image, foreground, background, alpha, trimap)
        ]
        layers = [cv2.resize(layer, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST) for layer in layers]
        if self.rng.random() < 0.5:
            layers = [layer[:, ::-1] for layer in layers]
        layers[0] = self.jitter(image=np.ascontiguousarray(layers[0]))["image"]
        colours = [
            torch.from_numpy(np.ascontiguousarray(layer.transpose(2, 0, 1), np.float32) / 255)
            for layer in layers[:3]
        ]
        matte, trimap = (
            torch.from_numpy(layers[3].astype(np.float32) / 255)[None],
            torch.from_numpy(layers[4].copy())[None],
        )
        return dict(
            zip(
                ("image", "foreground", "background", "alpha", "trimap"),
                (*colours, matte, trimap),
                strict=True,
            )
        )


class BareMinimum:
    """What no loader can do without: three crops, then one resize, composite and dilation by OpenCV."""

    def __init__(self, data: MattingData) -> None:
        foregrounds, backgrounds = data.source.foregrounds("train"), data.source.backgrounds("train")
        self.foregrounds = [tuple(map(np.array, foregrounds.load(i))) for i in range(len(foregrounds))]
        self.backgrounds = [np.array(backgrounds.load(i)) for i in range(len(backgrounds))]
        self.rng = np.random.default_rng(0)

    def _crop(self, side: int, *layers: np.ndarray) -> list[np.ndarray]:
        top, left = (int(self.rng.integers(limit - side + 1)) for limit in layers[0].shape[:2])
        return [layer[top : top + side, left : left + side].copy() for layer in layers]

    def __call__(self) -> np.ndarray:
        """Make one sample."""
        foreground, alpha = self.foregrounds[self.rng.integers(len(self.foregrounds))]
        background = self.backgrounds[self.rng.integers(len(self.backgrounds))]
        sides = [
            int(self.rng.choice([side for side in SIDES if side <= min(picture.shape[:2])]))
            for picture in (foreground, background)
        ]
        foreground, alpha = self._crop(sides[0], foreground, alpha)
        (background,) = self._crop(sides[1], background)
        foreground = cv2.resize(foreground, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        alpha, background = alpha[:SIZE, :SIZE], background[:SIZE, :SIZE]
        matte = cv2.merge([alpha] * 3).astype(np.float32) * np.float32(1 / 255)
        colours = [layer.astype(np.float32) for layer in (foreground, background)]
        composed = cv2.add(cv2.multiply(matte, colours[0]), cv2.multiply(1 - matte, colours[1]))
        size = int(self.rng.integers(1, 30))
        cv2.dilate(
            cv2.compare(alpha, 0, cv2.CMP_GT), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        )
        return composed


def seconds(turns: int, *makers: tuple[Callable[[], object], int]) -> list[list[float]]:
    """Return, by maker, the processor time of a sample in each turn.

    Each maker comes with the number of samples that it makes in one turn. They take turns, so that a busy
    machine slows all of them, and ratios of one turn are fair.
    """
    times: list[list[float]] = [[] for _ in makers]
    for _ in range(turns):
        for (maker, num), taken in zip(makers, times, strict=True):
            start = time.process_time()
            for _ in range(num):
                maker()
            taken.append((time.process_time() - start) / num)
    return times


def ratio(above: list[float], below: list[float]) -> str:
    """Return the median of the turns' ratios, and the range of its middle half."""
    low, middle, high = np.quantile([a / b for a, b in zip(above, below, strict=True)], [0.25, 0.5, 0.75])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def batches(data: MattingData) -> Iterator[object]:
    """Yield the samples of one epoch after the other, batch by batch."""
    loader, epoch = data.train_dataloader(), 0
    while True:
        loader.sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def wall_seconds(stream: Iterator[object], workers: int, num: int) -> float:
    """Return the seconds between samples as training sees them, once the queue is used up."""
    time.sleep(0.5)  # the workers of other streams come to rest
    for _ in range(3 * workers):  # those of this one are two batches ahead each
        next(stream)
    start = time.perf_counter()
    for _ in range(num // BATCH):
        next(stream)
    return (time.perf_counter() - start) / (num // BATCH * BATCH)


def resident_mb() -> tuple[float, float]:
    """Return the memory of this process in MB: its own, and with the mapped pages of the cache."""
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) / 1024, int(status["VmRSS"].split()[0]) / 1024


def embedded(folder: Path) -> Path:
    """Write the embedded pictures to files; larger than usual, so that the crops fit."""
    from deepmatte.data.procedural import ProceduralData

    source = ProceduralData(size=1024, num_train=8)
    source.prepare(("train",))
    for i, name in enumerate(source.foregrounds("train").names):
        for place, pixels in zip(("fg", "alpha"), source.foregrounds("train").load(i), strict=True):
            write_png(folder / "cutouts" / place / f"{name}.png", pixels)
        write_png(folder / "backgrounds" / f"{name}.png", source.backgrounds("train").load(i))
    return folder


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", default=os.environ.get("DEEPMATTE_REAL_DATA"))
    parser.add_argument(
        "--samples", type=int, default=2000, help="how many samples are made while memory is watched"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(arguments.data) if arguments.data else embedded(Path(scratch) / "embedded")
        run(root, Path(scratch) / "cache", arguments.samples)


def run(root: Path, cache: Path, samples: int) -> None:
    """Measure on the pictures below ``root``."""

    def data(workers: int) -> MattingData:
        source = FolderData(
            root, "cutouts/fg", "cutouts/alpha", "backgrounds", val_fraction=0, test_fraction=0
        )
        recipe = Composition(SIDES, SIZE, foreground_jitter=JITTER, background_jitter=JITTER)
        made = MattingData(
            source,
            recipe,
            batch_size=BATCH,
            samples_per_epoch=8000,
            num_workers=workers,
            cache={"dir": str(cache)},
        )
        made.check(["train"])
        return made

    alone = data(0)
    dataset, keys = alone.train_dataset(), iter((0, index) for index in range(10**6))
    files = [sorted((root / place).iterdir()) for place in ("cutouts/fg", "cutouts/alpha", "backgrounds")]
    for i in range(3 * len(files[0])):
        dataset[(1, i)]
    least = BareMinimum(alone)
    peers, ours, bare = seconds(
        7, (Straightforward(*files), 3), (lambda: dataset[next(keys)], 40), (least, 40)
    )
    peers_ms, ours_ms, bare_ms = (1e3 * median(taken) for taken in (peers, ours, bare))
    print(
        f"one sample, processor time: straightforward {peers_ms:.1f} ms, deepmatte {ours_ms:.2f} ms, "
        f"bare minimum {bare_ms:.2f} ms"
    )
    print(f"  straightforward / deepmatte {ratio(peers, ours)}, wanted at least 20")
    print(f"  deepmatte / bare minimum {ratio(ours, bare)}, wanted at most 3")
    streams = {workers: batches(data(workers)) for workers in (1, 2)}
    one, two = [], []
    for _ in range(7):
        one.append(wall_seconds(streams[1], 1, 200))
        two.append(wall_seconds(streams[2], 2, 200))
    speeds = f"1 worker {1 / median(one):.0f} samples/s, 2 workers {1 / median(two):.0f}"
    print(
        f"through the loader, wall time: {speeds}; "
        f"1 worker / 2 workers {ratio(one, two)}, wanted at least 1.8"
    )
    for stream in streams.values():
        stream.close()
    memory = []
    for i in range(samples):
        dataset[next(keys)]
        if i in (samples // 5, samples - 1):
            memory.append(resident_mb())
    (own, whole), (own_later, whole_later) = memory
    sizes = f"own {own:.0f} and {own_later:.0f} MB, with mapped pictures {whole:.0f} and {whole_later:.0f} MB"
    print(f"memory after {samples // 5} and {samples} samples: {sizes}")


if __name__ == "__main__":
    main()
