"""Pictures of vectors: true neighbours, PCA, t-SNE, and how many neighbours a picture keeps. The only file that knows
scikit-learn; no model, no run.

Letters: N points, D width, K neighbours.
"""

import contextlib
import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

CHUNK = 1_024  # rows of one product with all others
ROUNDS = 20  # of a t-SNE: it speaks every 50 of its 1,000 iterations
Floats = NDArray[np.float32]
Places = NDArray[np.uint32]


def unit(vectors: NDArray[np.floating]) -> Floats:
    """Each vector at length 1; what is 0 stays it."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)


def neighbours(vectors: Floats, count: int, *, stop: Callable[[], None]) -> tuple[Places, Floats]:
    """(places [N, K], cosines [N, K]) of each unit vector's nearest others, nearest first: exact."""
    places = np.empty((len(vectors), count), dtype=np.uint32)
    cosines = np.empty((len(vectors), count), dtype=np.float32)
    for start in range(0, len(vectors), CHUNK):
        stop()
        products = vectors[start : start + CHUNK] @ vectors.T  # [chunk, N]
        rows = np.arange(len(products))
        products[rows, start + rows] = -np.inf
        best = np.sort(np.argpartition(-products, count - 1, axis=1)[:, :count], axis=1)
        order = np.argsort(-np.take_along_axis(products, best, 1), axis=1, kind="stable")
        places[start : start + CHUNK] = np.take_along_axis(best, order, 1)
        cosines[start : start + CHUNK] = np.take_along_axis(products, places[start : start + CHUNK].astype(int), 1)
    return places, cosines


def pca(vectors: Floats) -> Floats:
    """The two directions of greatest variance [N, 2]; signs are such that each axis' largest weight is positive."""
    centred = vectors - vectors.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]  # [2, D]
    largest = axes[np.arange(2), np.abs(axes).argmax(1)]
    picture: Floats = centred @ (axes * np.sign(largest)[:, None]).T
    return picture


def tsne(vectors: Floats, *, start: Floats, perplexity: float, seed: int, told: Callable[[], None]) -> Floats:
    """The t-SNE picture [N, 2] by Barnes and Hut (van der Maaten 2014), begun from another picture.

    perplexity: at most a third of the other points. told: called every 50 iterations, may raise.
    Unit vectors' squared distances are 2 − 2·cosine.
    """
    begin = (start - start.mean(0)) / max(float(np.std(start[:, 0])), 1e-12) * 1e-4  # the width that the authors advise
    method = TSNE(
        perplexity=min(perplexity, (len(vectors) - 1) / 3),
        init=begin.astype(np.float32),
        random_state=seed % 2**32,
        method="barnes_hut",
        verbose=2,
    )
    # One thread: with more the forces are summed in the order in which threads end, and bits differ from run to run.
    with threadpool_limits(1), contextlib.redirect_stdout(_Listener(told)):
        picture: Floats = method.fit_transform(vectors)
    return picture


class _Listener(io.TextIOBase):
    """Hears a t-SNE speak: it takes no callback, but prints a line every 50 iterations."""

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told

    def write(self, text: str) -> int:
        if "Iteration" in text:
            self._told()
        return len(text)


def turned(picture: Floats, *, onto: Floats) -> Floats:
    """The picture, turned and mirrored so that its points lie nearest to those of another of as many points.

    The orthogonal Procrustes problem: with UΣVᵀ = (A − ā)ᵀ(B − b̄), the turn is UVᵀ (Schönemann 1966).
    """
    centred = picture - picture.mean(0)
    left, _, right = np.linalg.svd(centred.T @ (onto - onto.mean(0)))
    result: Floats = centred @ (left @ right)
    return result


def scaled(picture: Floats) -> Floats:
    """The picture moved and scaled into [-1, 1], both axes by the same factor."""
    low, high = picture.min(0), picture.max(0)
    half = max(float((high - low).max()) / 2, 1e-12)
    result: Floats = np.clip((picture - (low + high) / 2) / half, -1, 1).astype(np.float32)
    return result


def kept(picture: Floats, true: Places) -> float:
    """The mean share of a point's true neighbours [N, K] that are among its K nearest in the picture."""
    count = true.shape[1]
    near = NearestNeighbors(n_neighbors=count, algorithm="kd_tree").fit(picture).kneighbors(return_distance=False)
    return float((true[:, :, None] == near[:, None, :]).any(2).mean())
