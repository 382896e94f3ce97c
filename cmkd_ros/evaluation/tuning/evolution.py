# SPDX-License-Identifier: Apache-2.0
"""A search for the best of many numbers where each try is noisy: CMA-ES in the unit cube, seeded and resumable.

Hansen, N. (2016), The CMA Evolution Strategy: A Tutorial, arXiv:1604.00772, with its default strategy parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evolution:
    """A distribution over the cube, and how it moved. Nothing changes in place."""

    seed: int
    tries: int  # a generation
    mean: Array  # (n,)
    sigma: float
    covariance: Array  # (n, n)
    path: Array  # (n,) of the mean
    path_sigma: Array  # (n,)
    generation: int = 0

    @classmethod
    def begin(cls, start: Array, sigma: float, tries: int, seed: int) -> Evolution:
        """Around `start` (n,) in the unit cube."""
        n, zero = len(start), np.zeros(len(start))
        return cls(seed, tries, np.asarray(start, np.float64), sigma, np.eye(n), zero, zero)

    def ask(self) -> Array:
        """This generation's tries (tries, n); some may lie outside the cube: judge them at its border."""
        rng = np.random.default_rng([self.seed, self.generation])
        values, vectors = np.linalg.eigh(self.covariance)
        steps = rng.standard_normal((self.tries, len(self.mean))) * np.sqrt(np.maximum(values, 1e-20))
        return self.mean + self.sigma * steps @ vectors.T

    def tell(self, tries: Array, losses: Array) -> Evolution:
        """The next generation's distribution, from what `ask` gave and its losses (tries,), lower is better.

        What lies outside the cube is charged for it, so that the distribution stays inside.
        """
        n, outside = len(self.mean), tries - np.clip(tries, 0.0, 1.0)
        spread = float(np.std(losses)) or 1.0
        order = np.argsort((losses - losses.min()) / spread + 10.0 * (outside * outside).sum(axis=1), kind="stable")
        parents = self.tries // 2
        weights = np.log((self.tries + 1) / 2.0) - np.log(np.arange(1, parents + 1))
        weights /= weights.sum()
        effective = 1.0 / float((weights * weights).sum())
        c_sigma = (effective + 2.0) / (n + effective + 5.0)
        damping = 1.0 + 2.0 * max(0.0, np.sqrt((effective - 1.0) / (n + 1.0)) - 1.0) + c_sigma
        c_path = (4.0 + effective / n) / (n + 4.0 + 2.0 * effective / n)
        c_one = 2.0 / ((n + 1.3) ** 2 + effective)
        c_rank = min(1.0 - c_one, 2.0 * (effective - 2.0 + 1.0 / effective) / ((n + 2.0) ** 2 + effective))
        usual = np.sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n))

        steps = (tries[order[:parents]] - self.mean) / self.sigma
        step = weights @ steps
        values, vectors = np.linalg.eigh(self.covariance)
        whitened = vectors @ ((vectors.T @ step) / np.sqrt(np.maximum(values, 1e-20)))
        path_sigma = (1.0 - c_sigma) * self.path_sigma + np.sqrt(c_sigma * (2.0 - c_sigma) * effective) * whitened
        length = float(np.linalg.norm(path_sigma))
        faded = np.sqrt(1.0 - (1.0 - c_sigma) ** (2.0 * (self.generation + 1)))
        moving = float(length / faded < (1.4 + 2.0 / (n + 1.0)) * usual)
        path = (1.0 - c_path) * self.path + moving * np.sqrt(c_path * (2.0 - c_path) * effective) * step
        kept = 1.0 - c_one - c_rank + (1.0 - moving) * c_one * c_path * (2.0 - c_path)
        ranked = (steps.T * weights) @ steps
        covariance = kept * self.covariance + c_one * np.outer(path, path) + c_rank * ranked
        sigma = self.sigma * float(np.exp(c_sigma / damping * (length / usual - 1.0)))
        return replace(
            self,
            mean=self.mean + self.sigma * step,
            sigma=min(sigma, 0.5),
            covariance=0.5 * (covariance + covariance.T),
            path=path,
            path_sigma=path_sigma,
            generation=self.generation + 1,
        )

    def saved(self) -> dict[str, Any]:
        """As JSON holds it; `restored` goes on to the bit."""
        arrays = {name: getattr(self, name).tolist() for name in ("mean", "covariance", "path", "path_sigma")}
        scalars = {name: getattr(self, name) for name in ("seed", "tries", "sigma", "generation")}
        return {**scalars, **arrays}

    @classmethod
    def restored(cls, saved: dict[str, Any]) -> Evolution:
        """What `saved` gave."""
        made: dict[str, Any] = {name: np.array(v) if isinstance(v, list) else v for name, v in saved.items()}
        return cls(**made)
