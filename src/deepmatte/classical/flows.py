"""Flows of opacity between pixels of like colours, near and far: the terms of information-flow matting.

Source: Aksoy, Aydin, Pollefeys, "Designing effective inter-pixel information flow for natural image matting",
CVPR 2017. Pixels are numbered row by row; colours are float in [0, 1].
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

RIDGE = 1e-10
"""Weight of the weights' own squares beside the squared error of the mixed colour."""

FARTHER = 100
"""How much less place counts for the second neighbours of the flow within the unknown zone."""


def features(image: np.ndarray, place: float = 0.0) -> np.ndarray:
    """Return the colours (P, 3), followed by the position if ``place``, its weight, is not 0: (P, 5).

    Position is in parts of the width, and of the height.

    >>> features(np.zeros((1, 2, 3)), place=2.0)[:, 3:].tolist()
    [[1.0, 2.0], [2.0, 2.0]]
    """
    height, width, channels = image.shape
    colours = image.reshape(-1, channels)
    if not place:
        return colours
    down, right = np.mgrid[1 : height + 1, 1 : width + 1]
    return np.column_stack([colours, place * right.ravel() / width, place * down.ravel() / height])


def nearest(points: np.ndarray, queries: np.ndarray, among: np.ndarray, count: int) -> np.ndarray:
    """Return for each query the ``count`` points nearest to it, itself excepted, as indices (Q, count).

    Args:
        points: features (P, D).
        queries: indices (Q,) of points.
        among: indices (C,) of the points that may be neighbours. If they are few, there are fewer neighbours.
        count: of neighbours.
    """
    count = min(count, len(among) - bool(np.isin(queries, among).any()))
    if count <= 0:
        return np.empty((len(queries), 0), np.int64)
    number = min(count + 1, len(among))
    # Unbalanced trees are built in a fraction of the time; what is found is the same.
    tree = cKDTree(points[among], compact_nodes=False, balanced_tree=False)
    found = among[tree.query(points[queries], number)[1].reshape(len(queries), number)]
    if number == count:
        return found
    drop = found == queries[:, None]
    drop[~drop.any(1), -1] = True  # not found among points at no distance, or no candidate
    return found[~drop].reshape(len(queries), count)


def mixture_weights(colours: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Return weights (Q, K) that sum to 1 and mix the colours (Q, 3) from those of neighbours (Q, K, 3).

    They minimise |colour - sum of w c|^2 + RIDGE |w|^2 (locally linear embedding: Roweis, Saul 2000), whose
    K x K system has a solution in 3 x 3: w = s (1 - D (D'D + RIDGE)^-1 D'1), with the differences D.

    >>> black, white, grey = np.zeros(3), np.ones(3), np.full(3, 0.25)
    >>> mixture_weights(grey[None], np.stack([black, white])[None]).round(6).tolist()
    [[0.75, 0.25]]
    """
    differences = neighbours - colours[:, None]
    moved = differences.transpose(0, 2, 1)
    square = moved @ differences + RIDGE * np.eye(3)
    solved = np.linalg.solve(square, moved.sum(2)[..., None])
    weights = 1 - (differences @ solved)[..., 0]
    return weights / weights.sum(1, keepdims=True)


def colour_mixture(image: np.ndarray, unknown: np.ndarray, count: int, place: float) -> sp.csr_array:
    """Return the matrix (U, P) of what each unknown pixel's alpha is above the mixture of its neighbours'.

    Args:
        image: colours (H, W, 3).
        unknown: indices (U,) of the unknown pixels.
        count: of neighbours, in the whole picture.
        place: weight of position in the search of neighbours.
    """
    pixels = image.shape[0] * image.shape[1]
    found = nearest(features(image, place), unknown, np.arange(pixels), count)
    colours = features(image)
    weights = mixture_weights(colours[unknown], colours[found])
    rows = np.arange(len(unknown))
    shape = len(unknown), pixels
    mixed = sp.csr_array((weights.ravel(), (rows.repeat(found.shape[1]), found.ravel())), shape)
    return sp.csr_array((np.ones(len(unknown)), (rows, unknown)), shape) - mixed


def within_unknown(image: np.ndarray, unknown: np.ndarray, count: int, place: float) -> sp.csr_array:
    """Return the Laplacian (U, U) of the unknown pixels, joined to those of like colour among them.

    Weights are 1 less the mean absolute difference of the five features. To ``count`` neighbours a fifth as
    many are added, for which place counts `FARTHER` times less, as in the public code of KNN matting and of
    this method; weights are those of these farther features.
    """
    near, far = features(image, place), features(image, place / FARTHER)
    found = np.column_stack(
        [nearest(near, unknown, unknown, count), nearest(far, unknown, unknown, -(-count // 5))]
    )
    weights = 1 - np.abs(far[unknown][:, None] - far[found]).mean(-1)
    order = np.empty(len(near), np.int64)
    order[unknown] = rows = np.arange(len(unknown))
    shape = len(unknown), len(unknown)
    joined = sp.coo_array(
        (np.maximum(weights, 0).ravel(), (rows.repeat(found.shape[1]), order[found].ravel())), shape
    ).tocsr()
    joined = (joined + joined.T) / 2
    return sp.csr_array(sp.diags_array(joined.sum(1)) - joined)


def known_to_unknown(
    image: np.ndarray, zones: np.ndarray, count: int, place: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return alphas (P,) by a mixture of known colours, and how far they can be trusted (P,), in [0, 1].

    The alpha of an unknown pixel is the share of the foreground's colours in the mixture of ``count``
    neighbours in each known zone. It is the more trusted the more the two sums of colours differ. It may be
    outside [0, 1].

    Args:
        image: colours (H, W, 3).
        zones: alpha (P,) where it is known, 0 or 1, and else 0.5.
        count: of neighbours in each zone.
        place: weight of position in the search of neighbours.
    """
    alpha, trust = zones.copy(), np.ones(len(zones))
    unknown = np.flatnonzero(zones == 0.5)
    points, colours = features(image, place), features(image)
    inside, outside = (nearest(points, unknown, np.flatnonzero(zones == side), count) for side in (1, 0))
    found = colours[np.column_stack([inside, outside])]
    weights = mixture_weights(colours[unknown], found)
    ours = np.arange(found.shape[1]) < inside.shape[1]
    alpha[unknown] = weights[:, ours].sum(1)
    mixed = weights[..., None] * found
    trust[unknown] = ((mixed[:, ours].sum(1) - mixed[:, ~ours].sum(1)) ** 2).mean(1)
    return alpha, trust
