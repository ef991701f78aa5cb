"""Exact moments of the two-point gradient, without sampling.

The expectations are finite sums (all signs, Gauss-Hermite grids, a spherical design) that equal the integral for the
polynomials at hand; the other side is the formula in g and H. Rounding is all that separates them: 1e-12, or the stated
cancellation of the difference, about 1e-16 f / eps.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.sign_descent import SignDescent
from sandbox.oracles.backprop import Backprop
from sandbox.oracles.signed_slope import SignedSlope
from sandbox.oracles.two_point import TwoPoint
from sandbox.perturbations.directions import Directions
from sandbox.perturbations.masks import MagnitudeMask
from sandbox.problems.matrix_quadratic import isotropic
from sandbox.problems.quadratic import Quadratic
from sandbox.run import run
from sandbox.run_ensemble import run_ensemble

D = 3
PROBLEM = Quadratic((1.0, 4.0, 9.0), seed=1)
H = PROBLEM.hessian_dd
PARAMS = {"x": torch.tensor([0.7, -1.1, 0.4], dtype=torch.float64)}
G = H @ PARAMS["x"]
GG, TR, I = G @ G, H.trace(), torch.eye(D, dtype=torch.float64)
LARGE = 0.5  # a difference over half a unit: no eps -> 0 is needed on a quadratic


@dataclass(frozen=True)
class Separable:
    """f(x) = sum x^4 / 4 or sum exp(x): third derivatives that are known."""

    power: str

    def loss(self, params, batch):
        x = params["x"]
        return (x**4).sum() / 4 if self.power == "quartic" else x.exp().sum()


class Line:
    """1 + g^T x with g = the first entries of (1, 1e-2, 1e-4)."""

    def loss(self, params, batch):
        x = params["x"]
        return 1 + (torch.tensor([1.0, 1e-2, 1e-4], dtype=torch.float64).to(x)[: len(x)] * x).sum()


def ghat(oracle, *z, problem=PROBLEM, params=PARAMS):
    """The gradient that these raw numbers give, one vector per direction."""
    return oracle(problem, params, None, tuple({"x": direction} for direction in z))[1]["x"]


def moments(oracle, points, expectation):
    """E ghat, E |ghat|^2, E ghat^T H ghat, E ghat ghat^T of one direction."""

    def all_four(z):
        g = ghat(oracle, z)
        return torch.cat([g, (g @ g)[None], (g @ H @ g)[None], torch.outer(g, g).flatten()])

    values = expectation(all_four, points)
    return values[:D], values[D], values[D + 1], values[D + 2 :].reshape(D, D)


def close(a, b, rtol=1e-12):
    torch.testing.assert_close(torch.as_tensor(a), torch.as_tensor(b), rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("eps", [1e-3, LARGE])
def test_gaussian_moments_at_any_eps(eps, gaussian, expectation):
    mean, square, curved, second = moments(TwoPoint(eps=eps), gaussian(D), expectation)
    rtol = 1e-15 / eps**2 + 1e-12  # cancellation: f is about 5, its difference about eps
    close(mean, G, rtol)
    close(square, (D + 2) * GG, rtol)
    close(curved, TR * GG + 2 * G @ H @ G, rtol)
    close(second, GG * I + 2 * torch.outer(G, G), rtol)


def test_sphere_moments(icosahedron, expectation):
    """The drawn numbers have length 7, and the oracle brings them to sqrt(d)."""
    mean, square, curved, second = moments(TwoPoint(eps=LARGE, directions=Directions("sphere")), icosahedron, expectation)
    close(mean, G)
    close(square, D * GG)
    close(curved, D / (D + 2) * (TR * GG + 2 * G @ H @ G))
    close(second, D / (D + 2) * (GG * I + 2 * torch.outer(G, G)))


def test_rademacher_moments_over_all_signs(rademacher, expectation):
    mean, square, curved, second = moments(TwoPoint(eps=LARGE, directions=Directions("rademacher")), rademacher(D), expectation)
    close(mean, G)
    close(square, D * GG)
    close(curved, TR * GG + 2 * G @ H @ G - 2 * (H.diagonal() * G.square()).sum())
    close(second, GG * I + 2 * torch.outer(G, G) - 2 * G.square().diag())


@pytest.mark.parametrize("n", [1, 2])
def test_n_directions_average_away_the_noise_and_not_the_gradient(n, gaussian):
    """E ghat ghat^T = (n + 1)/n g g^T + |g|^2 I / n, over all n-tuples of a 4^3 grid."""
    z, weights = gaussian(D)
    tuples = torch.tensor(list(itertools.product(range(len(z)), repeat=n)))
    each = torch.func.vmap(lambda zs: ghat(TwoPoint(eps=LARGE, n=n), *zs))(z[tuples])
    second = torch.einsum("i,ia,ib->ab", weights[tuples].prod(1), each, each)
    close(second, (n + 1) / n * torch.outer(G, G) + GG / n * I)
    close(second.trace(), (D + n + 1) / n * GG)


def test_a_one_sided_difference_is_unbiased_on_a_quadratic_and_noisier_by_the_formula(gaussian, expectation):
    mean, square, _, _ = moments(TwoPoint(eps=LARGE, difference="one-sided"), gaussian(D), expectation)
    close(mean, G)
    close(square, (D + 2) * GG + LARGE**2 / 4 * (D + 4) * (TR**2 + 2 * (H @ H).trace()))


def test_the_bias_on_a_quartic_is_eps_squared_over_two_times_the_gradient_of_the_laplacian(gaussian, expectation):
    """f = sum x^4 / 4, so that is 3 eps^2 x, exactly: there are no higher terms."""
    for eps in (0.1, 0.4):
        mean = expectation(lambda z, eps=eps: ghat(TwoPoint(eps=eps), z, problem=Separable("quartic")), gaussian(D))
        close(mean - PARAMS["x"] ** 3, 3 * eps**2 * PARAMS["x"], rtol=1e-10)


def test_the_bias_has_slope_two_in_eps(gaussian, expectation):
    """f = sum exp x: bias eps^2/2 exp(x) (1 + O(eps^2)), so the ratio at eps and 2 eps is 4 within 3 eps^2; 14 nodes are exact to 1e-9."""

    def bias(eps):
        return expectation(lambda z: ghat(TwoPoint(eps=eps), z, problem=Separable("exp")), gaussian(D, 14)) - PARAMS["x"].exp()

    eps = 0.05
    assert (bias(2 * eps) / bias(eps)).tolist() == pytest.approx([4.0] * D, rel=3 * eps**2)
    close(bias(eps), eps**2 / 2 * PARAMS["x"].exp(), rtol=eps**2)


def test_zo_sgd_has_the_stability_edge_of_the_dossier(gaussian, expectation):
    """p_i = E x_i^2 obeys p' = M p exactly, and M has spectral radius 1 where sum eta l / (2 (1 - eta l)) = 1."""
    spectrum = torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64)
    axes = Quadratic(tuple(spectrum.tolist()), basis="axes")
    low, high = 2 / (spectrum.sum() + 2 * spectrum.max()), 2 / spectrum.sum()
    for _ in range(60):
        eta = (low + high) / 2
        low, high = (eta, high) if (eta * spectrum / (2 * (1 - eta * spectrum))).sum() < 1 and eta < 1 else (low, eta)

    def squares(x):
        return expectation(lambda z: (x - eta * ghat(TwoPoint(eps=LARGE), z, problem=axes, params={"x": x})).square(), gaussian(D))

    M = torch.diag(1 - 2 * eta * spectrum + 2 * (eta * spectrum) ** 2) + eta**2 * spectrum.square().expand(D, D)
    close(squares(PARAMS["x"]), M @ PARAMS["x"].square())
    assert float(torch.linalg.eigvals(M).abs().max()) == pytest.approx(1.0, abs=1e-12)


def test_momentum_follows_the_recursion_of_three_moments(gaussian, expectation):
    """(a, p, c) = (|x|^2, x.m, |m|^2) on an isotropic quadratic, one step, exactly (dossier 2.3)."""
    lam, eta, beta = 2.0, 0.1, 0.9
    x, m = PARAMS["x"], torch.tensor([0.3, 0.5, -0.2], dtype=torch.float64)
    rule = GradientDescent(eta, momentum=beta)
    state = rule.init(x)._replace(b=m)

    def after(z):
        delta, new = rule.step(ghat(TwoPoint(eps=LARGE), z, problem=Quadratic((lam,) * D, basis="axes")), state, x)
        return torch.stack([(x + delta) @ (x + delta), (x + delta) @ new.b, new.b @ new.b])

    a, p, c = x @ x, x @ m, m @ m
    c_new = beta**2 * c + 2 * beta * lam * p + (D + 2) * lam**2 * a
    B = beta * p + lam * a
    close(expectation(after, gaussian(D)), torch.stack([a - 2 * eta * B + eta**2 * c_new, B - eta * c_new, c_new]))


def test_adam_sees_almost_the_same_second_moment_everywhere(gaussian, expectation):
    """E ghat_i^2 = |g|^2 + 2 g_i^2: 1 to 3 across coordinates where g_i^2 spans 1e8 (ZO-Adam)."""
    g = torch.tensor([1.0, 1e-2, 1e-4], dtype=torch.float64)
    line = lambda z: ghat(TwoPoint(LARGE), z, problem=Line(), params={"x": g}).square()  # noqa: E731
    second = expectation(line, gaussian(D))
    close(second, g @ g + 2 * g.square())
    assert second.max() / second.min() < 3.0001


def test_zo_sign_is_the_sign_of_every_entry_and_the_released_code_keeps_the_direction():
    z = torch.tensor([0.3, -2.0, 0.9], dtype=torch.float64)
    slope = torch.sign(z @ G)
    delta, _ = SignDescent(lr=0.1).step(ghat(TwoPoint(), z), SignDescent(lr=0.1).init(z), PARAMS["x"])
    close(delta, -0.1 * slope * z.sign())
    close(ghat(SignedSlope(), z), slope * z)


def test_the_average_signed_slope_divides_by_n():
    zs = normal((2, D), generator(3))
    close(ghat(SignedSlope(TwoPoint(n=2)), *zs), (torch.sign(zs @ G)[:, None] * zs).mean(0))


def signed_runs(entrywise: bool, curvature: float, steps: int, watch=None):
    """30 runs in d = 100 with lr = 0.1, from |x| = 10."""
    rule, oracle = (SignDescent(0.1), TwoPoint()) if entrywise else (GradientDescent(0.1), SignedSlope())
    return run_ensemble(isotropic(curvature, 100), rule, steps=steps, seeds=range(30), oracle=oracle, watch=watch)


@pytest.mark.parametrize("entrywise", [True, False], ids=["every entry", "direction"])
def test_floors_of_both_sign_steps(entrywise):
    """|x| -> 0.785 lr d and 0.627 lr d. The relaxation time is 0.8 to 1.2 d steps and the spread of |x| 10 %, so 30 runs over
    400 steps have a standard error of 1.3 %; with the O(1/d) of the formula 5 % is 3 sigma and more."""
    norms = []

    def watch(k, params):
        if k >= 400:
            norms.append(params["W"].flatten(1).norm(dim=1).mean().item())

    signed_runs(entrywise, 1.0, 800, watch)
    assert np.mean(norms) / 10 == pytest.approx(np.pi / 4 if entrywise else (np.pi / 8) ** 0.5, rel=0.05)


@pytest.mark.parametrize("entrywise", [True, False], ids=["every entry", "direction"])
def test_sign_steps_do_not_know_the_curvature(entrywise):
    """A power of two as the factor, so that rounding does not change a sign."""
    flat, steep = (signed_runs(entrywise, curvature, 20)[0].final["W"] for curvature in (1.0, 4.0))
    np.testing.assert_array_equal(flat, steep)


def test_the_loss_that_is_reported_is_the_one_at_w():
    """One-sided exactly; central to eps^2/2 z^T H z, where the reference code reports f(w + eps z), off by eps z^T g."""
    z, eps = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64), 1e-3
    at_w = float(PROBLEM.loss(PARAMS, None))
    one, central = (TwoPoint(eps, difference=d)(PROBLEM, PARAMS, None, ({"x": z},))[0] for d in ("one-sided", "central"))
    assert float(one) == at_w and not one.requires_grad and one.shape == ()
    assert float(central) - at_w == pytest.approx(eps**2 / 2 * float(z @ H @ z), rel=1e-6)
    assert abs(eps * float(z @ G)) > 10 * (float(central) - at_w)
    three = TwoPoint(eps, n=3)(PROBLEM, PARAMS, None, tuple({"x": x * z} for x in (0.0, 1.0, 2.0)))[0]
    assert float(three) - at_w == pytest.approx(5 / 3 * eps**2 / 2 * float(z @ H @ z), rel=1e-6)  # the mean over directions


def test_a_magnitude_mask_looks_at_the_weights_of_the_step(gaussian, expectation):
    """The two smallest of |0.7|, |-1.1|, |0.4| are perturbed: E ghat = m g, E |ghat|^2 = (k + 2) |m g|^2, k = 2."""
    oracle = TwoPoint(eps=LARGE, directions=Directions(mask=MagnitudeMask(0.34)))
    mean, square, _, _ = moments(oracle, gaussian(D), expectation)
    kept = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    close(mean, kept * G)
    close(square, 4 * (kept * G).square().sum())


def test_a_masked_perturbation_with_a_dense_update_is_noisier(gaussian, expectation):
    """The released code with n > 1: same mean, (d + 2) in place of (k + 2). Pinned as the defect it is; ours masks both."""
    z, weights = gaussian(D)
    kept = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    slopes = (z * kept) @ G
    dense = slopes[:, None] * z
    close(weights @ dense, kept * G)
    close(weights @ dense.square().sum(1), (D + 2) * (kept * G).square().sum())


@pytest.mark.parametrize("rule", [GradientDescent(1e-3), GradientDescent(1e-3, momentum=0.9), Adam(0.01)], ids=["sgd", "momentum", "adam"])
@pytest.mark.parametrize("law", ["gaussian", "sphere", "rademacher"])
def test_ensembles_follow_single_runs(law, rule):
    oracle = TwoPoint(n=2, directions=Directions(law, mask=MagnitudeMask(0.5)))
    together = run_ensemble(PROBLEM, rule, steps=15, seeds=[3, 4], oracle=oracle)
    for trace, seed in zip(together, (3, 4), strict=True):
        alone = run(PROBLEM, rule, steps=15, seed=seed, oracle=oracle)
        np.testing.assert_allclose(trace.loss, alone.loss, rtol=1e-10)
        np.testing.assert_allclose(trace.final["x"], alone.final["x"], rtol=0, atol=1e-10)


def test_the_gradient_has_the_dtype_of_the_weight_and_losses_are_subtracted_in_float64():
    """A float32 loss near 1 has spacing 6e-8 below and 1.2e-7 above, so two roundings cost the slope of 1 less than 1e-7 / (2 eps)."""
    _, grads = TwoPoint(1e-3)(Line(), {"x": torch.zeros(1)}, None, ({"x": torch.ones(1, dtype=torch.float64)},))
    assert grads["x"].dtype == torch.float32 and float(grads["x"]) == pytest.approx(1.0, abs=5e-5)


def test_a_bfloat16_weight_of_one_hardly_sees_a_perturbation_of_a_thousandth():
    """It has no neighbour nearer than 2^-8 below and 2^-7 above, so z must pass -1.95 or 3.9; one entry in forty does."""
    seen = []

    class Watching:
        def loss(self, params, batch):
            seen.append(params["x"])
            return params["x"].float().sum()

    ones = {"x": torch.ones(100, 100, dtype=torch.bfloat16)}
    oracle = TwoPoint(eps=1e-3)
    _, grads = oracle(Watching(), ones, None, oracle.draw(generator(5), ones))
    changed, normal_tail = (seen[0] != 1).double().mean().item(), 0.5 * math.erfc(1.953 / 2**0.5)
    assert changed == pytest.approx(normal_tail, abs=4 * (normal_tail / 1e4) ** 0.5)  # 4 standard errors; the upper tail has 5e-5
    assert grads["x"].all()


def test_a_slope_is_not_rounded_to_the_dtype_of_the_loss():
    """Losses 1 and 1 + 2^-7 in bfloat16 are 2^-7 / (2 eps) = 1.3021 apart; bfloat16 would make 1.3047 of it."""

    class Coarse:
        def loss(self, params, batch):
            return torch.where(params["x"].sum() > 0, 1 + 2**-7, 1.0).bfloat16()

    _, grads = TwoPoint(3e-3)(Coarse(), {"x": torch.zeros(1)}, None, ({"x": torch.ones(1, dtype=torch.float64)},))
    assert float(grads["x"]) == pytest.approx(2**-7 / 6e-3, rel=1e-6)


@pytest.mark.parametrize("difference", ["central", "one-sided"])
def test_several_directions_are_the_mean_of_single_ones(difference):
    zs = normal((3, D), generator(4))
    singles = torch.stack([ghat(TwoPoint(LARGE, difference=difference), z) for z in zs])
    close(ghat(TwoPoint(LARGE, n=3, difference=difference), *zs), singles.mean(0))


def test_leaves_are_not_differentiated():
    leaf = torch.nn.Parameter(PARAMS["x"].clone())
    oracle = TwoPoint()
    loss, grads = oracle(PROBLEM, {"x": leaf}, None, oracle.draw(generator(0), {"x": leaf}))
    assert not loss.requires_grad and not grads["x"].requires_grad


def test_its_gradient_descends_where_backprop_does():
    """The cosine with g is z^T g / (|z| |g|): never of the wrong sign, on every draw."""
    exact = Backprop()(PROBLEM, PARAMS, None, None)[1]["x"]
    oracle = TwoPoint()
    for seed in range(5):
        assert float(oracle(PROBLEM, PARAMS, None, oracle.draw(generator(seed), PARAMS))[1]["x"] @ exact) > 0


@pytest.mark.parametrize("bad", [{"eps": 0.0}, {"eps": float("nan")}, {"n": 0}, {"n": 1.0}, {"difference": "forward"}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match=str(next(iter(bad.values())))):
        TwoPoint(**bad)


def test_complex_weights_are_refused():
    with pytest.raises(ValueError, match="w is torch.complex64, and a perturbation needs real numbers"):
        TwoPoint().draw(generator(0), {"w": torch.zeros(2, dtype=torch.complex64)})
