"""Expectations over random directions without sampling: finite sets of directions that integrate polynomials exactly."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

Points = tuple[Tensor, Tensor]  # directions (N, d), weights (N,) that sum to 1


@pytest.fixture
def gaussian() -> Callable[[int, int], Points]:
    """Gauss-Hermite on a grid: exact for N(0, I_d) and polynomials of degree <= 2 nodes - 1 in every coordinate."""

    def points(d: int, nodes: int = 4) -> Points:
        x, w = np.polynomial.hermite_e.hermegauss(nodes)
        grid = torch.tensor(list(itertools.product(x, repeat=d)), dtype=torch.float64)
        weights = torch.tensor([math.prod(ws) for ws in itertools.product(w / w.sum(), repeat=d)], dtype=torch.float64)
        return grid, weights

    return points


@pytest.fixture
def rademacher() -> Callable[[int], Points]:
    """All 2^d sign vectors: the whole distribution."""

    def points(d: int) -> Points:
        signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=d)), dtype=torch.float64)
        return signs, torch.full((2**d,), 0.5**d, dtype=torch.float64)

    return points


@pytest.fixture
def icosahedron() -> Points:
    """Its 12 vertices in d = 3: a spherical 5-design, so averages of polynomials of degree <= 5 over the sphere are exact.

    Turned so that no entry is 0 (a 0 stands for a masked entry); of length 7, which the law has to bring to sqrt(3).
    """
    golden = (1 + 5**0.5) / 2
    base = [(0.0, a, b * golden) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
    vertices = torch.tensor([p[i:] + p[:i] for p in base for i in range(3)], dtype=torch.float64)
    turn = torch.linalg.qr(torch.tensor([[2.0, 1.0, 0.3], [0.5, 3.0, 1.0], [1.0, 0.2, 4.0]], dtype=torch.float64)).Q
    return vertices @ turn * (7 / vertices[0].norm()), torch.full((12,), 1 / 12, dtype=torch.float64)


@pytest.fixture
def expectation() -> Callable[[Callable[[Tensor], Tensor], Points], Tensor]:
    """The weighted sum of f over the directions, f under vmap."""

    def of(f: Callable[[Tensor], Tensor], points: Points) -> Tensor:
        z, weights = points
        return torch.tensordot(weights, torch.func.vmap(f)(z), dims=1)

    return of
