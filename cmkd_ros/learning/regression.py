# SPDX-License-Identifier: Apache-2.0
"""Small fits in numpy: a perceptron with two hidden layers by Adam, and ridge regression. Same seed, same weights."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Perceptron:
    """tanh layers and a linear end. `layers` holds (weight (in, out), bias (out,)); the first standardises."""

    layers: list[tuple[Array, Array]]

    def hidden(self, inputs: Array) -> Array:
        """The last hidden layer, (N, H)."""
        for weight, bias in self.layers[:-1]:
            inputs = np.tanh(inputs @ weight + bias)
        return inputs

    def __call__(self, inputs: Array) -> Array:
        """(N, F) -> (N, K)."""
        weight, bias = self.layers[-1]
        return self.hidden(inputs) @ weight + bias


def fit_perceptron(
    inputs: Array, targets: Array, hidden: tuple[int, ...], seed: int, epochs: int, squash: bool
) -> Perceptron:
    """Least squares over (N, F) -> (N, K) by Adam (Kingma, Ba 2015) with a falling step and a little weight decay.

    With `squash`, targets are 0..1 and the end is squashed by a sigmoid, which the caller applies too.
    """
    rng = np.random.default_rng(seed)
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0)
    scale = np.where(scale > 1e-3, scale, 1.0).astype(np.float32)
    inputs = (inputs - mean) / scale
    widths = (inputs.shape[1], *hidden, targets.shape[1])
    parameters = [
        array
        for wide, narrow in itertools.pairwise(widths)
        for array in (
            (rng.standard_normal((wide, narrow)) / np.sqrt(wide)).astype(np.float32),
            np.zeros(narrow, np.float32),
        )
    ]
    first, second = ([np.zeros_like(array) for array in parameters] for _ in range(2))
    batch, rows = 256, len(inputs)
    steps = epochs * (rows // batch)
    for step in range(steps):
        if step % (rows // batch) == 0:
            order = rng.permutation(rows)
        chosen = order[(step % (rows // batch)) * batch :][:batch]
        gradients = _gradients(parameters, inputs[chosen], targets[chosen], squash)
        rate = 2e-3 * (0.5 + 0.5 * np.cos(np.pi * step / steps))
        for index, gradient in enumerate(gradients):
            first[index] += 0.1 * (gradient - first[index])
            second[index] += 0.001 * (gradient * gradient - second[index])
            slope = first[index] / (1 - 0.9 ** (step + 1))
            steepness = np.sqrt(second[index] / (1 - 0.999 ** (step + 1))) + 1e-8
            parameters[index] -= np.float32(rate) * (slope / steepness + 1e-3 * parameters[index]).astype(np.float32)
    # The first layer takes raw inputs: standardisation is folded into it.
    weight, bias = parameters[0] / scale[:, None], parameters[1] - (mean / scale) @ parameters[0]
    parameters[:2] = [weight.astype(np.float32), bias.astype(np.float32)]
    return Perceptron(list(zip(parameters[::2], parameters[1::2])))


def fit_ridge(inputs: Array, targets: Array, penalty: float = 1e-2) -> tuple[Array, Array]:
    """Weight (F, K) and bias (K,) for (N, F) -> (N, K) by least squares; a row with a NaN target is left out."""
    known = ~np.isnan(targets).any(axis=1)
    x, y = inputs[known].astype(np.float64), targets[known].astype(np.float64)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-3, scale, 1.0)
    x = (x - mean) / scale
    weight = np.linalg.solve(x.T @ x + penalty * len(x) * np.eye(x.shape[1]), x.T @ (y - y.mean(axis=0)))
    weight = weight / scale[:, None]
    return weight.astype(np.float32), (y.mean(axis=0) - mean @ weight).astype(np.float32)


def _gradients(parameters: list[Array], inputs: Array, targets: Array, squash: bool) -> list[Array]:
    activations = [inputs]
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2]):
        activations.append(np.tanh(activations[-1] @ weight + bias))
    output = activations[-1] @ parameters[-2] + parameters[-1]
    if squash:
        output = 1.0 / (1.0 + np.exp(-output))
        slope = (output - targets) * output * (1.0 - output)
    else:
        slope = output - targets
    slope = slope.astype(np.float32) / np.float32(len(inputs))
    gradients: list[Array] = []
    for layer in range(len(parameters) // 2 - 1, -1, -1):
        gradients[:0] = [activations[layer].T @ slope, slope.sum(axis=0)]
        if layer:
            slope = (slope @ parameters[2 * layer].T) * (1.0 - activations[layer] ** 2)
    return gradients


def area_under_roc(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Chance that a true case scores above a false one (ties count half); 0.5 where all are alike."""
    if truth.all() or not truth.any():
        return 0.5
    _, ranks, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - (counts - 1) / 2.0)[ranks]
    true = int(truth.sum())
    return float((middle[truth].sum() - true * (true + 1) / 2) / (true * (len(truth) - true)))


def r_squared(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Share of the variance explained; 0 where there is none to explain."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    return float(1.0 - ((predicted - truth) ** 2).sum() / spread) if spread > 0 else 0.0
