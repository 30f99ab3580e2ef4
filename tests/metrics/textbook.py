"""Grad and Conn straight from their definitions, with scipy, slowly; every choice is a parameter.

Works on 8-bit mattes over the whole image. With the defaults it is the published definition; the other values
are the mistakes found in the wild.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

FOUR, EIGHT = ndimage.generate_binary_structure(2, 1), ndimage.generate_binary_structure(2, 2)


def grad(prediction, alpha, *, mask=None, border="nearest", half=4, unit_energy=True, min_max=True):
    x = np.arange(-half, half + 1)
    gauss = np.exp(-(x**2) / (2 * 1.4**2)) / (1.4 * np.sqrt(2 * np.pi))
    kernel = np.outer(gauss, -x * gauss / 1.4**2)
    if unit_energy:
        kernel /= np.sqrt((kernel**2).sum())
    amplitudes = []
    for image in (prediction, alpha):
        image = image.astype(np.float64) / 255
        if min_max:
            image = (
                (image - image.min()) / max(np.ptp(image), 1e-300) if np.ptp(image) else np.zeros_like(image)
            )
        amplitudes.append(np.hypot(*(ndimage.convolve(image, k, mode=border) for k in (kernel, kernel.T))))
    error = (amplitudes[0] - amplitudes[1]) ** 2
    return error[np.ones(error.shape, bool) if mask is None else mask].sum()


def conn(
    prediction,
    alpha,
    *,
    mask=None,
    structure=FOUR,
    compare=np.greater_equal,
    step=10,
    theta=0.15,
    keep="largest",
    column_tie=True,
):
    p, g = prediction / 255, alpha / 255
    level = np.full(p.shape, -1.0)
    for i in range(1, step + 1):
        inside = compare(p, i / step) & compare(g, i / step)
        # The transpose makes scipy number the components in column-major order, and argmax takes the first of
        # equals.
        labels = (
            ndimage.label(inside.T, structure)[0].T if column_tie else ndimage.label(inside, structure)[0]
        )
        sizes = np.bincount(labels.ravel())
        omega = inside
        if keep == "largest" and inside.any():
            omega = labels == 1 + sizes[1:].argmax()
        level[(level < 0) & ~omega] = (i - 1) / step
    level[level < 0] = 1
    phi = [1 - (v - level) * (v - level >= theta) for v in (p, g)]
    error = np.abs(phi[0] - phi[1])
    return error[np.ones(error.shape, bool) if mask is None else mask].sum()
