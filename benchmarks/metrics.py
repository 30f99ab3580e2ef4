"""Speed and memory of the metrics beside the straightforward ways.

The matte has 1080x1920 pixels, 22 % of them unknown. Claim: Conn is at least 2.5 times faster than labelling
with OpenCV at every threshold and 8 times faster than with scikit-image; Grad is at least 2 times faster than
separable float32 filters; SAD + MSE + mIoU take at most twice what torch takes for L1 + MSE + a confusion
matrix; Conn needs at most 10 bytes a pixel; `deepmatte score` runs at 90 % efficiency on two processes.

Cost: half a minute. Command: python benchmarks/metrics.py
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH = 1080, 1920


def example() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return prediction, truth (float64 in [0, 1]) and trimap: a wavy disc with a ring of hair."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    distance = np.hypot(x - 900, y - 560)
    s = 0.5 + (380 + 40 * np.sin(x / 41) * np.cos(y / 37) - distance) / 90
    hair = np.where((distance > 330) & (distance < 470), 0.35 * (0.5 + 0.5 * np.sin(x / 3.3 + y / 11)), 0)
    prediction = 0.95 * s + 0.02 + 0.8 * hair * np.sin(x / 50) ** 2 + 0.03 * np.sin(x / 5) * np.cos(y / 7)
    trimap = np.where(s > 1.1, 255, np.where(s < -0.9, 0, 128)).astype(np.uint8)
    return prediction.clip(0, 1), (s + hair).clip(0, 1), trimap


def phi_difference(
    levels: np.ndarray, prediction: np.ndarray, alpha: np.ndarray, unknown: np.ndarray
) -> float:
    distance = [values - levels for values in (prediction, alpha)]
    phi = [1 - d * (d >= 0.15) for d in distance]
    return float(np.abs(phi[0] - phi[1])[unknown].sum())


def conn_by_opencv(prediction: np.ndarray, alpha: np.ndarray, unknown: np.ndarray) -> float:
    """Label with OpenCV at every threshold, in float32: the technique of the fastest published code."""
    prediction, alpha = (image.astype(np.float32) / np.float32(255) for image in (prediction, alpha))
    levels = np.full(prediction.shape, -1, np.float32)
    for i in range(1, 11):
        inside = ((prediction >= np.float32(i / 10)) & (alpha >= np.float32(i / 10))).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=4)
        sizes = stats[1:, cv2.CC_STAT_AREA]
        omega = labels == 1 + sizes.argmax() if sizes.size else np.zeros(labels.shape, bool)
        levels[(levels == -1) & ~omega] = (i - 1) / 10
    levels[levels == -1] = 1
    return phi_difference(levels, prediction, alpha, unknown)


def conn_by_skimage(prediction: np.ndarray, alpha: np.ndarray, unknown: np.ndarray) -> float:
    """Label with scikit-image at every threshold, in float64: the technique of most Python codes."""
    from skimage.measure import label

    prediction, alpha = prediction / 255, alpha / 255
    levels = np.full(prediction.shape, -1.0)
    for i in range(1, 11):
        labels = label((prediction >= i / 10) & (alpha >= i / 10), connectivity=1)
        sizes = np.bincount(labels.ravel())[1:]
        omega = labels == 1 + sizes.argmax() if sizes.size else np.zeros(labels.shape, bool)
        levels[(levels == -1) & ~omega] = (i - 1) / 10
    levels[levels == -1] = 1
    return phi_difference(levels, prediction, alpha, unknown)


def grad_by_separable_filters(
    prediction: np.ndarray, alpha: np.ndarray, unknown: np.ndarray, depth: type = np.float32
) -> float:
    """Filter both whole images with OpenCV's separable filters in float32 or float64."""
    x = np.arange(-4, 5)
    smooth = np.exp(-(x**2) / (2 * 1.4**2))
    slope = x * smooth
    smooth, slope = smooth / np.linalg.norm(smooth), slope / np.linalg.norm(slope)
    lengths = []
    for image in (prediction, alpha):
        image = cv2.normalize(image.astype(depth), None, 0, 1, cv2.NORM_MINMAX)
        across, down = (
            cv2.sepFilter2D(image, -1, *taps, borderType=cv2.BORDER_REPLICATE)
            for taps in ((slope, smooth), (smooth, slope))
        )
        lengths.append(cv2.magnitude(across, down))
    return float((np.square(lengths[0] - lengths[1]))[unknown].sum())


def grad_by_scipy(prediction: np.ndarray, alpha: np.ndarray, unknown: np.ndarray) -> float:
    """Convolve with the dense kernels in float64."""
    from scipy.ndimage import convolve

    x = np.arange(-4, 5)
    smooth = np.exp(-(x**2) / (2 * 1.4**2))
    kernel = np.outer(smooth, x * smooth)
    kernel /= np.linalg.norm(kernel)
    lengths = []
    for image in (prediction, alpha):
        image = (image - float(image.min())) / (float(image.max()) - float(image.min()))
        lengths.append(
            np.hypot(convolve(image, kernel, mode="nearest"), convolve(image, kernel.T, mode="nearest"))
        )
    return float((np.square(lengths[0] - lengths[1]))[unknown].sum())


def torch_three(prediction: np.ndarray, alpha: np.ndarray) -> float:
    """Mean absolute error, mean squared error and the 2 x 2 confusion matrix by torch, on float32."""
    import torch
    from torch.nn import functional

    predicted, true = torch.from_numpy(prediction), torch.from_numpy(alpha)
    joint = 2 * (true >= 0.5).long() + (predicted >= 0.5)
    torch.bincount(joint.flatten(), minlength=4)
    return float(functional.l1_loss(predicted, true) + functional.mse_loss(predicted, true))


def seconds(candidates: dict[str, Callable[[], float]], rounds: int = 7) -> dict[str, float]:
    """Return the median time of each candidate; they take turns, so that other load meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for call in candidates.values():
        call()
    for _ in range(rounds):
        for name, call in candidates.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def report(title: str, times: dict[str, float], goals: dict[str, float]) -> None:
    """Print times, and each one's ratio to the first (ours) beside its goal."""
    ours = next(iter(times.values()))
    print(f"\n{title}")
    for name, value in times.items():
        goal = f"  goal {goals[name]:g}" if name in goals else ""
        print(f"  {name:<46}{1000 * value:9.1f} ms  {value / ours:6.2f} x{goal}")


def conn_memory() -> float:
    """Return the bytes a pixel that Conn needs at its peak beyond its inputs, measured in its own process."""
    # A fixed threshold lets every array come from and go back to the system, so that the peak is that of the
    # arrays in use.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(
        [sys.executable, __file__, "--conn-memory"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return float(done.stdout)


def print_conn_memory() -> None:
    from deepmatte.metrics.functional.connectivity import conn_of
    from deepmatte.metrics.functional.inputs import prepare

    prediction, alpha, trimap = example()
    pair = prepare(prediction, alpha, trimap)
    small = prepare(prediction[:9], alpha[:9], trimap[:9])
    conn_of(small)  # loads the compiled code
    assert pair.num_pixels  # makes the mask, an input
    del prediction, alpha
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is in use now
    before = _status("VmRSS")
    conn_of(pair)
    print((_status("VmHWM") - before) / (HEIGHT * WIDTH))


def _status(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return 1024 * int(line.split()[1])


def score_folder(num_images: int = 72) -> dict[int, float]:
    """Return the seconds of `deepmatte score` for a folder on one and on two processes, without imports."""
    from deepmatte.cli.score import find_jobs, parser, score_all

    prediction, alpha, trimap = example()
    images = {
        "pred": np.rint(255 * prediction).astype(np.uint8),
        "alpha": np.rint(255 * alpha).astype(np.uint8),
        "trimap": trimap,
    }
    with tempfile.TemporaryDirectory() as folder:
        for kind, image in images.items():
            (Path(folder) / kind).mkdir()
            for i in range(num_images):
                cv2.imwrite(f"{folder}/{kind}/{i:02}.png", np.roll(image, 7 * i, axis=1))
        jobs = find_jobs(parser().parse_args([f"--{kind}={folder}/{kind}" for kind in images]))
        times = seconds({str(n): lambda n=n: len(score_all(jobs, n)) for n in (1, 2)}, rounds=3)
    return {int(n): value for n, value in times.items()}


def main() -> None:
    from deepmatte.metrics.functional import score_image
    from deepmatte.metrics.functional.matting import DEFAULT_SCORES

    prediction, alpha, trimap = example()
    floats = [image.astype(np.float32) for image in (prediction, alpha)]
    levels = [np.rint(255 * image).astype(np.uint8) for image in (prediction, alpha)]
    unknown = trimap == 128
    print(
        f"{HEIGHT}x{WIDTH}, {100 * unknown.mean():.0f} % unknown, "
        f"{cv2.getNumThreads()} threads for OpenCV and torch, ours one"
    )

    def ours(*scores: str, images: list[np.ndarray] = levels) -> Callable[[], float]:
        return lambda: score_image(*images, trimap, "adobe", scores)[scores[0]]

    conn = {
        "Conn, ours": ours("conn"),
        "OpenCV at every threshold, float32": lambda: conn_by_opencv(*levels, unknown),
        "scikit-image at every threshold, float64": lambda: conn_by_skimage(*levels, unknown),
    }
    grad = {
        "Grad, ours (float64)": ours("grad"),
        "OpenCV separable filters, float32": lambda: grad_by_separable_filters(*levels, unknown),
        "OpenCV separable filters, float64": lambda: grad_by_separable_filters(*levels, unknown, np.float64),
        "scipy dense filters, float64": lambda: grad_by_scipy(*levels, unknown),
    }
    for candidates in (conn, grad):
        values = [call() * (1000 if i == 0 else 1) for i, call in enumerate(candidates.values())]
        assert np.allclose(values, values[0], rtol=1e-5), f"not the same measure: {values}"
    report(
        "Conn",
        seconds(conn),
        {"OpenCV at every threshold, float32": 2.5, "scikit-image at every threshold, float64": 8},
    )
    report("Grad", seconds(grad), {"OpenCV separable filters, float32": 2})
    three = {
        "SAD + MSE + mIoU, ours": ours("sad", "mse", "miou", images=floats),
        "torch L1 + MSE + confusion matrix": lambda: torch_three(*floats),
    }
    report("differences", seconds(three), {"torch L1 + MSE + confusion matrix": 0.5})
    report(
        "all five scores",
        seconds({"8-bit": ours(*DEFAULT_SCORES), "float32": ours(*DEFAULT_SCORES, images=floats)}),
        {},
    )
    print(f"\nConn's memory: {conn_memory():.1f} bytes a pixel beyond the inputs (goal: at most 10)")
    folder = score_folder()
    print(
        f"deepmatte score: {folder[1]:.2f} s on one process, {folder[2]:.2f} s on two: "
        f"{100 * folder[1] / folder[2] / 2:.0f} % (goal 90 %)"
    )
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    print_conn_memory() if "--conn-memory" in sys.argv else main()
