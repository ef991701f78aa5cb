"""What a Gaussian basis keeps, against Monte Carlo in plain numpy with its own standard error."""

import math

import numpy as np
import pytest

from sandbox.theory import rso, rso_gaussian, rso_inner_steps


def gaussian(rng, n, m, r):
    return rng.standard_normal((n, m, r)) / math.sqrt(r)


def standard_error(x):
    return x.std(ddof=1) / math.sqrt(len(x))


def test_standing_still_costs_what_the_share_says():
    """|W|^2 / 2 in m = 6, r = 2: the mean gap F(0) - min F is the eps for which B = 0 is just accurate; the law is Gaussian."""
    rng, m, r, t = np.random.default_rng(0), 6, 2, 0.5
    P, W = gaussian(rng, 40_000, m, r), np.ones(m)
    gram, pulled = np.swapaxes(P, 1, 2) @ P, np.swapaxes(P, 1, 2) @ W
    solved = np.linalg.solve(gram + m / (r * t) * np.eye(r), pulled[..., None])[..., 0]
    gap = (pulled * solved).sum(1) / 2
    x = np.linalg.eigvalsh(gram) * r / m
    share = (t * x / (1 + t * x)).mean(1)
    needed = rso_gaussian.any_law.at(share=share.mean()) * m / r * gap.mean()
    error = needed * (standard_error(gap) / gap.mean() + standard_error(share) / share.mean())
    assert abs(needed - W @ W) < 4 * error and error < 0.01 * needed
    assert rso_gaussian.any_law.at(share=share.mean()) > 1.03 * rso.inexact_constant.at(t=t, gram_defect=0.0)


@pytest.mark.parametrize("c", [1 / 64, 0.25, 1.0])
def test_the_safe_constant_against_quadrature_and_random_matrices(c):
    """x = 1 + c + 2 sqrt(c) cos(a) has the Marchenko-Pastur density 2 sin^2(a) / (pi x); eight matrices of m = 400 agree."""
    rng, m, t, shares = np.random.default_rng(1), 400, 0.5, []
    a = (np.arange(4000) + 0.5) * np.pi / 4000
    x = 1 + c + 2 * math.sqrt(c) * np.cos(a)
    share = (2 * np.sin(a) ** 2 / (np.pi * x) * (np.pi / 4000) * t * x / (1 + t * x)).sum()
    assert rso_gaussian.safe_constant.at(t=t, c=c) == pytest.approx(2 / share, rel=1e-9)
    for _ in range(8):
        Z = rng.standard_normal((m, int(c * m)))
        y = np.linalg.eigvalsh(Z.T @ Z / m)
        shares.append(np.mean(t * y / (1 + t * y)))
    assert abs(np.mean(shares) - share) < 4 * standard_error(np.array(shares)) + share / m  # finite size is O(1/m)


@pytest.mark.parametrize(("m", "r", "step"), [(6, 2, 0.6), (5, 5, 0.3)])
def test_one_step_in_a_gaussian_basis(m, r, step):
    rng, W = np.random.default_rng(2), np.ones(m)
    P = gaussian(rng, 100_000, m, r)
    moved = W - step * r / m * (P @ (np.swapaxes(P, 1, 2) @ W)[..., None])[..., 0]
    fall = (m - (moved**2).sum(1)) / 2
    needed = m / (m / r * fall.mean())
    limit = rso_gaussian.one_step.at(step=step, m=m, r=r)
    assert abs(needed - limit) < 4 * needed * standard_error(fall) / fall.mean()
    assert limit > 1.1 * rso_inner_steps.one_step.at(step=step, gram_defect=0.0)


def test_no_quadratic_tried_is_worse_than_the_isotropic_one_in_a_gaussian_basis():
    """The conjecture about f: convex quadratics with random spectra, each direction of W, m = 8, r = 2, t = 1/2, common draws of P."""
    rng, m, r, t = np.random.default_rng(3), 8, 2, 0.5
    P = gaussian(rng, 20_000, m, r)

    def needed(spectrum, g):
        """|g|^2 / (Lhat E decrease) for H = diag(spectrum) and a gradient g."""
        A, pulled = np.einsum("nir,i,nis->nrs", P, spectrum, P), np.einsum("nir,i->nr", P, g)
        B = -np.linalg.solve(A + m / (r * t) * np.eye(r), pulled[..., None])[..., 0]
        fall = -(pulled * B).sum(1) - np.einsum("nr,nrs,ns->n", B, A, B) / 2
        return g @ g / (m / r * fall.mean())

    isotropic = needed(np.ones(m), np.eye(m)[0])
    others = [needed(np.r_[1.0, rng.uniform(0, 1, m - 1)], np.eye(m)[i]) for i in range(m)]
    assert max(others) < isotropic
