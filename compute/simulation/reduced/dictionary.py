"""Bases of snapshots: one for all, or one per cluster with a classifier that chooses among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy

from ritz.compute.simulation.reduced.clustering import distances, k_medoids, normalised, sines

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

Dissimilarity = Literal["angle", "euclid"]
"""What clusters are made by: the sine of the angle between two snapshots, or their distance."""


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Local bases, and which one a new sample gets. Made by `Dictionary.fit`.

    Attributes
    ----------
    bases
        Per cluster ``(values, modes)`` float64 with orthonormal columns; fewer modes where a cluster spans no more.
    medoids
        ``(clusters,)`` int64, which snapshots the clusters are around.
    labels
        ``(n,)`` int64, the clusters of the snapshots.
    classifier
        From the features of a sample to its cluster; None for one cluster.
    """

    bases: tuple[np.ndarray, ...]
    medoids: np.ndarray
    labels: np.ndarray
    classifier: RandomForestClassifier | None

    @classmethod
    def fit(
        cls,
        snapshots: np.ndarray,
        features: np.ndarray,
        *,
        modes: int,
        clusters: int,
        dissimilarity: Dissimilarity,
        normalise: bool,
        seed: int,
    ) -> Dictionary:
        """Cluster snapshots, find the leading modes of every cluster, and learn to tell the clusters by features.

        Parameters
        ----------
        snapshots
            ``(n, values)`` float64.
        features
            ``(n, d)`` of the same samples.
        modes
            At most so many per basis.
        normalise
            Whether snapshots are given norm 1 first, so that clusters and modes weigh relative errors.
        seed
            Of the random forest; nothing else is random.

        Raises
        ------
        ValueError
            If there are fewer snapshots than modes or clusters, or some are not finite.
        """
        if modes > len(snapshots):
            raise ValueError(f"modes is {modes}, expected at most {len(snapshots)}, the number of snapshots")
        if clusters > len(snapshots):
            raise ValueError(f"clusters is {clusters}, expected at most {len(snapshots)}, the number of snapshots")
        if bad := np.flatnonzero(~np.isfinite(snapshots).all(axis=1)).tolist():
            raise ValueError(f"{len(bad)} snapshots are not finite, first {bad[0]}; expected samples that were solved")
        if normalise:
            snapshots = normalised(snapshots)
        unlike = np.zeros((len(snapshots),) * 2)
        if clusters > 1:
            unlike = sines(snapshots) if dissimilarity == "angle" else distances(snapshots)
        medoids, labels = k_medoids(unlike, clusters)
        bases = tuple(pod(snapshots[labels == cluster], modes) for cluster in range(clusters))
        return cls(bases, medoids, labels, _forest(features, labels, seed) if clusters > 1 else None)

    def choose(self, features: np.ndarray) -> np.ndarray:
        """Return the clusters of samples with features ``(n, d)``, ``(n,)`` int64."""
        if self.classifier is None:
            return np.zeros(len(features), dtype=np.int64)
        labels: np.ndarray = self.classifier.predict(features)
        return labels

    def project(self, snapshots: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return what bases can make of snapshots at best: the nearest points in the spans, ``(n, values)`` float64.

        Parameters
        ----------
        snapshots
            ``(n, values)`` float64, also new ones.
        labels
            ``(n,)`` which basis each gets.
        """
        found = np.empty_like(snapshots)
        for cluster in np.unique(labels):
            basis, rows = self.bases[cluster], labels == cluster
            found[rows] = snapshots[rows] @ basis @ basis.T
        return found


def pod(snapshots: np.ndarray, modes: int) -> np.ndarray:
    """Return the leading modes of the proper orthogonal decomposition of snapshots, without taking off their mean.

    They span the space of their number whose squared distances to the snapshots have the smallest sum, so large
    snapshots count most.

    Parameters
    ----------
    snapshots
        ``(n, values)`` float64.
    modes
        At most so many; fewer where the snapshots span no more but for rounding.

    Returns
    -------
    basis
        ``(values, modes)`` float64 with orthonormal columns.
    """
    _, sizes, rows = scipy.linalg.svd(snapshots, full_matrices=False)
    spanned = int(np.sum(sizes > max(snapshots.shape) * np.finfo(np.float64).eps * sizes[0]))
    return np.ascontiguousarray(rows[: min(modes, spanned)].T)


def _forest(features: np.ndarray, labels: np.ndarray, seed: int) -> RandomForestClassifier:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(random_state=seed).fit(features, labels)
