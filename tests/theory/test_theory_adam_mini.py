"""The bounds of Adam-mini against numbers that know no formula: eigenvalues, recursions, searches, Monte Carlo in numpy, and the
rounding of torch's own bfloat16 and float16.
"""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import minimize, minimize_scalar

from sandbox.theory import adam_mini, adam_mini_frozen, adam_mini_mean, adam_mini_precision, adam_mini_steps


def z_score(samples, expected):
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


def kappa(H, d=None):
    root = np.sqrt(np.ones(len(H)) if d is None else d)
    values = np.linalg.eigvalsh(root[:, None] * H * root)
    return values[-1] / values[0]


def definite(rng, n):
    A = rng.standard_normal((n, n + 2))
    return A @ A.T


def turned(rng, d):
    return np.linalg.qr(rng.standard_normal((d, d)))[0]


def turned_cosine(R, g):
    return np.sign(R @ g) @ (R @ np.sign(g)) / len(g)


# --- rates and condition numbers


def test_the_blockwise_rate_is_what_a_search_over_the_step_finds():
    for low, top in ((1.0, 3.0), (2.0, 50.0)):
        found = minimize_scalar(lambda lr: max(abs(1 - lr * low), abs(1 - lr * top)), bounds=(0, 2 / top), method="bounded")  # noqa: B023
        assert adam_mini.blockwise_rate.at(kappa_block=top / low) == pytest.approx(found.fun, abs=1e-5)  # the search stops at 1e-5


def test_the_start_ratio_is_the_condition_number_of_frozen_adam_on_a_diagonal():
    rng = np.random.default_rng(0)
    for spread in (1.0, 6.0):
        h, x = np.exp(spread * rng.standard_normal(6)), rng.standard_normal(6)
        size = np.abs(x)
        limit = adam_mini_frozen.start_ratio.at(x_max=size.max(), x_min=size.min())
        assert limit == pytest.approx(kappa(np.diag(h), 1 / np.abs(h * x)), rel=1e-10)


@pytest.mark.parametrize("t", [2.0, 10.0])
def test_the_tail_of_two_coordinates_and_of_more(t):
    x = np.abs(np.random.default_rng(1).standard_normal((200_000, 5)))
    ratio = lambda y: y.max(1) / y.min(1)  # noqa: E731
    limit = adam_mini_frozen.two_coordinate_tail.at(t=t)
    assert abs(z_score(ratio(x[:, :2]) > t, limit)) < 4
    assert z_score(ratio(x) > t, limit) > 4  # more coordinates, more spread


def test_both_bounds_of_a_diagonal_scaling_on_random_matrices():
    rng, slack = np.random.default_rng(2), []
    for n in (2, 3, 6):
        for _ in range(60):
            H, d = definite(rng, n), np.exp(rng.standard_normal(n))
            reached, a = kappa(H, d), d * np.diag(H)
            low = adam_mini_frozen.diagonal_lower.at(a_max=a.max(), a_min=a.min())
            high = adam_mini_frozen.diagonal_upper.at(kappa_D=d.max() / d.min(), kappa=kappa(H))
            slack.append((reached / low, high / reached))
    assert np.min(slack) >= 1 - 1e-9 and np.min(slack, axis=0).max() < 1.1  # and both come close


def test_two_by_two_is_the_eigenvalue_ratio():
    rng = np.random.default_rng(3)
    for _ in range(50):
        H, d = definite(rng, 2), np.exp(rng.standard_normal(2))
        k, a = kappa(H, d), d * np.diag(H)
        limit = adam_mini_frozen.two_by_two.at(d_1=a[0], d_2=a[1], r=H[0, 1] / math.sqrt(H[0, 0] * H[1, 1]))
        assert limit == pytest.approx(k + 1 / k + 2, rel=1e-9)


def best_diagonal(H):
    found = minimize(lambda u: math.log(kappa(H, np.exp(u))), np.full(len(H), 0.3) * np.arange(len(H)), method="Nelder-Mead", tol=1e-10)
    return math.exp(found.fun)


def test_no_diagonal_beats_the_scalar_in_a_bipartite_block_and_one_does_in_a_triangle():
    rng = np.random.default_rng(4)
    for _ in range(5):
        B = rng.standard_normal((2, 2))
        B *= 0.8 / np.linalg.norm(B, 2)
        H = np.block([[np.eye(2), B], [B.T, np.eye(2)]])
        limit = adam_mini_frozen.scalar_is_best.at(kappa=kappa(H), mismatch=0.0)
        assert best_diagonal(H) >= limit * (1 - 1e-9)
        assert best_diagonal(H) == pytest.approx(limit, rel=1e-3)  # the search ends near D = I
    triangle = np.array([[4.0, 3, 2], [3, 4, 2], [2, 2, 4]])
    assert best_diagonal(triangle) == pytest.approx(7.5, rel=1e-4) and kappa(triangle) > 8.7


# --- single steps


def test_no_rotation_turns_the_first_step_further_than_the_bound_and_a_search_comes_near():
    rng = np.random.default_rng(5)
    for d in (2, 3, 5):
        low = adam_mini_steps.turned_first_step.at(d=d)
        drawn = [turned_cosine(turned(rng, d), rng.standard_normal(d) ** 3) for _ in range(3000)]
        assert min(drawn) >= low - 1e-12
        g = np.r_[1.0, np.full(d - 1, 1e-6)]
        R = 2 * np.outer(g, g) / (g @ g) - np.eye(d)
        assert turned_cosine(R, g) == pytest.approx(low, abs=1e-5 * d)


@pytest.mark.parametrize("angle", [0.1, 0.6, 0.78])
def test_the_worst_rotation_of_one_gradient_in_the_plane(angle):
    """All rotations and reflections of the plane, by their angle."""
    g = np.array([math.cos(angle), math.sin(angle)])
    grid = np.linspace(0, 2 * math.pi, 40001) + 1e-6
    rotations = np.array([[np.cos(grid), -np.sin(grid)], [np.sin(grid), np.cos(grid)]]).transpose(2, 0, 1)
    every = np.concatenate([rotations, rotations @ np.diag([1.0, -1.0])])
    found = min(turned_cosine(R, g) for R in every)
    limit = adam_mini_steps.turned_first_step_of.at(d=2, c=np.abs(g).sum() / math.sqrt(2))
    assert limit - 1e-12 <= found <= limit + 2e-4  # the spacing of the grid


@pytest.mark.parametrize("d", [2, 3, 8])
def test_the_mean_turn_over_gaussian_gradients_and_haar_rotations(d):
    rng = np.random.default_rng(d)
    drawn = [turned_cosine(turned(rng, d), rng.standard_normal(d)) for _ in range(20_000)]
    assert abs(z_score(drawn, adam_mini_steps.turned_first_step_mean.at(d=d))) < 4


def test_the_mean_turn_tends_to_two_over_pi():
    assert adam_mini_steps.turned_first_step_mean.at(d=300) == pytest.approx(2 / math.pi, rel=1 / 300)  # 1 + 1/(2 d) + ...


def adam_and_mini(gradients, b1, b2, lr, eps):
    """Last steps of both on one block, by the textbook recursion."""
    m = v = np.zeros_like(gradients[0])
    for g in gradients:
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    t = len(gradients)
    m, v = m / (1 - b1**t), v / (1 - b2**t)
    return -lr * m / (np.sqrt(v) + eps), -lr * m / (np.sqrt(v.mean()) + eps), m, v


def test_the_gap_of_the_two_steps():
    gradients = np.random.default_rng(6).standard_normal((5, 4))
    adam, mini, m, v = adam_and_mini(gradients, 0.9, 0.99, 0.1, 1e-3)
    for i in range(4):
        constants = {"lr": 0.1, "m": m[i], "s": math.sqrt(v[i]), "q": math.sqrt(v.mean()), "eps": 1e-3}
        assert adam_mini_steps.entry_gap.at(**constants) == pytest.approx(adam[i] - mini[i], rel=1e-9)
    signs = np.random.default_rng(7).choice([-2.0, 2.0], (5, 4))
    adam, mini, _, _ = adam_and_mini(signs, 0.9, 0.99, 0.1, 1e-3)
    np.testing.assert_allclose(adam, mini, rtol=1e-13)


def normalised_path(blocks, starts, lr, steps):
    """(losses, norms) of the blockwise normalised step on sum L_b |w_b|^2 / 2."""
    w, losses, norms = [np.array(x) for x in starts], [], []
    for _ in range(steps):
        g = [L * x for L, x in zip(blocks, w, strict=True)]
        losses.append(sum(L * x @ x / 2 for L, x in zip(blocks, w, strict=True)))
        norms.append(sum(math.sqrt(len(x)) * np.linalg.norm(x) for x in g))
        w = [x - lr * math.sqrt(len(x)) * y / np.linalg.norm(y) for x, y in zip(w, g, strict=True)]
    losses.append(sum(L * x @ x / 2 for L, x in zip(blocks, w, strict=True)))
    return losses, norms


def test_the_normalised_step_meets_its_bound_on_the_isotropic_blocks():
    blocks, starts = (3.0, 50.0), ([1.0, -2.0, 0.5], [0.3, 0.4])
    size = 3 * 3.0 + 2 * 50.0
    for lr, steps in ((0.01, 30), (0.2, 7)):
        losses, norms = normalised_path(blocks, starts, lr, steps)
        limit = adam_mini_steps.normalised_mean.at(lr=lr, T=steps, size=size, Delta=max(losses[0] - losses[-1], 0.0))
        if losses[0] >= losses[-1]:
            assert np.mean(norms) == pytest.approx(limit, rel=1e-12)
        assert np.mean(norms) <= adam_mini_steps.normalised_mean.at(lr=lr, T=steps, size=size, Delta=losses[0])


def test_the_best_rate_is_what_a_search_finds_and_one_step_attains():
    constants = {"T": 9, "size": 20.0, "Delta": 3.0}
    found = minimize_scalar(lambda u: adam_mini_steps.normalised_mean.at(lr=math.exp(u), **constants), bracket=(-4, 1))
    assert adam_mini_steps.normalised_best.at(**constants) == pytest.approx(found.fun, rel=1e-10)
    losses, norms = normalised_path((2.0,), ([0.3, 0.4],), lr=0.5 / math.sqrt(2), steps=1)  # |w| = lr sqrt(2)
    assert losses[-1] < 1e-30
    assert adam_mini_steps.normalised_best.at(T=1, size=4.0, Delta=losses[0]) == pytest.approx(norms[0], rel=1e-12)


# --- the price of the mean


def price(s, weights):
    return math.sqrt(weights @ s**2) * (weights @ (1 / s))


@pytest.mark.parametrize("k", [1.5, 4.0, 30.0])
def test_the_price_over_all_laws_on_an_interval(k):
    """Concave in the law for a given mean square, so two values are enough; a search over their share, and random laws below it."""
    shares = np.linspace(0, 1, 20001)
    found = max(price(np.array([1.0, k]), np.array([1 - w, w])) for w in shares)
    limit = adam_mini_mean.price_upper.at(k=k)
    assert limit == pytest.approx(found, rel=1e-7)
    rng = np.random.default_rng(8)
    for _ in range(300):
        s, w = rng.uniform(1, k, 5), rng.dirichlet(np.full(5, 0.3))
        assert adam_mini_mean.price_lower.at() - 1e-12 <= price(s, w) <= limit


def test_the_cosine_of_the_updates():
    rng = np.random.default_rng(9)
    s = rng.gamma(0.7, 1.0, 50) + 0.05
    signs = rng.choice([-1.0, 1.0], 50)
    adam, mini = signs, signs * s / math.sqrt((s**2).mean())
    cosine = adam @ mini / np.linalg.norm(adam) / np.linalg.norm(mini)
    assert adam_mini_mean.update_cosine.at(spread=s.std() / s.mean()) == pytest.approx(cosine, rel=1e-12)
    snr = (s**2).mean() ** 2 / (s**2).var()
    assert adam_mini_mean.update_cosine_of_snr.at(snr=snr) <= cosine
    assert adam_mini_mean.update_cosine_of_range.at(k=s.max() / s.min()) <= cosine


def test_the_worst_cosine_of_a_range_over_all_first_moments():
    k, s = 9.0, np.array([1.0, 2.0, 9.0])

    def cosine(u):
        mini = u * s
        return u @ mini / np.linalg.norm(u) / np.linalg.norm(mini)

    found = min(minimize(cosine, u, method="Nelder-Mead", tol=1e-12).fun for u in np.random.default_rng(10).uniform(0.2, 1, (10, 3)))
    assert adam_mini_mean.update_cosine_of_range.at(k=k) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("snr", [0.3, 1.0, 4.0])
def test_the_worst_cosine_of_a_signal_to_noise_ratio(snr):
    """Laws of s on 0 and two other values whose v has this ratio; the best share of the second is searched."""
    worst = 1.0
    for other in np.linspace(0.0, 3.0, 301):
        for share in np.linspace(0.01, 0.99, 99):
            v = np.array([1.0, other**2, 0.0])
            w = np.array([share, (1 - share) / 2, (1 - share) / 2])
            mean = w @ v
            if mean**2 / (w @ v**2 - mean**2) >= snr:
                worst = min(worst, (w @ np.sqrt(v)) / math.sqrt(mean))
    limit = adam_mini_mean.update_cosine_of_snr.at(snr=snr)
    assert limit - 1e-12 <= worst <= limit * 1.03  # the grid of shares


# --- noise


def floor(H, D, Sigma, lr):
    P = solve_discrete_lyapunov(np.eye(len(H)) - lr * D @ H, lr**2 * D @ Sigma @ D)
    return np.trace(H @ P) / 2


def test_the_stationary_loss_lies_between_both_floors():
    rng = np.random.default_rng(11)
    for scale in (0.01, 1.0, 1.9):
        H, D, Sigma = definite(rng, 4), np.diag(np.exp(rng.standard_normal(4))), definite(rng, 4)
        top = np.linalg.eigvals(D @ H).real.max()
        lr, reached = scale / top, floor(H, D, Sigma, scale / top)
        trace = np.trace(D @ Sigma)
        low, high = adam_mini.noise_floor.at(lr=lr, noise_trace=trace), adam_mini.noise_floor_upper.at(lr=lr, noise_trace=trace, top=top)
        assert low < reached < high
        assert reached < low * 1.02 or scale > 0.01


def test_the_upper_floor_is_reached_by_one_eigenvalue():
    D = np.diag([1.0, 4.0])
    reached = floor(np.diag([4.0, 1.0]), D, np.diag([2.0, 3.0]), 0.3)
    assert adam_mini.noise_floor_upper.at(lr=0.3, noise_trace=14.0, top=4.0) == pytest.approx(reached, rel=1e-12)


@pytest.mark.parametrize(("b1", "scale"), [(0.0, 1.5), (0.9, 1.5), (0.9, 20.0), (0.5, 4.0)])
def test_the_floor_with_momentum_by_the_lyapunov_equation_of_both_moments(b1, scale):
    """State (x, m); scale = lr D h, beyond 2 where momentum allows it."""
    h, D, var = 3.0, 0.7, 1.3
    lr = scale / (D * h)
    m_row = np.array([(1 - b1) * h, b1])
    F = np.array([[1.0, 0.0] - lr * D * m_row, m_row])
    noise = (1 - b1) * np.array([-lr * D, 1.0])
    P = solve_discrete_lyapunov(F, var * np.outer(noise, noise))
    limit = adam_mini.noise_floor_momentum.at(lr=lr, noise_trace=D * var, top=D * h, b1=b1)
    assert limit == pytest.approx(h * P[0, 0] / 2, rel=1e-9)


def test_the_ratio_of_the_floors_of_both_methods():
    sigma2, H, lr = np.array([1.0, 9.0, 4.0, 4.0]), np.diag([1.0, 2.0, 3.0, 4.0]), 1e-5
    shared = 1 / np.sqrt(np.repeat([5.0, 4.0], 2))
    ratio = floor(H, np.diag(shared), np.diag(sigma2), lr) / floor(H, np.diag(sigma2**-0.5), np.diag(sigma2), lr)
    sums = {"block_sum": math.sqrt(2 * 10) + math.sqrt(2 * 8), "entry_sum": 1 + 3 + 2 + 2}
    assert adam_mini.noise_floor_ratio.at(**sums) == pytest.approx(ratio, rel=1e-4)  # both floors to O(lr top)


# --- few bits

FORMATS = ((torch.bfloat16, 8), (torch.float16, 11))


def binade(dtype, bits):
    return (1 + torch.arange(2 ** (bits - 1), dtype=torch.float64) / 2 ** (bits - 1)).to(dtype)


def after(v, beta2, square=0.0):
    """Rounded once: the average in float64, to nearest."""
    return (beta2 * v.double() + (1 - beta2) * square).to(v.dtype)


@pytest.mark.parametrize(("dtype", "bits"), FORMATS)
def test_the_two_thresholds_in_torch_s_own_formats(dtype, bits):
    v = binade(dtype, bits)
    frozen, moving = adam_mini_precision.freezing_beta2.at(p=bits), adam_mini_precision.decaying_beta2.at(p=bits)
    assert torch.equal(after(v, frozen), v) and not torch.equal(after(v, frozen - 1e-6), v)
    assert (after(v, moving - 1e-9) < v).all() and (after(v, moving + 1e-6) == v).any()
    assert torch.equal(v.lerp(torch.zeros_like(v), 1 - max(frozen, 0.999)), v) == (max(frozen, 0.999) >= frozen)  # as a rule does it


@pytest.mark.parametrize(("dtype", "bits"), FORMATS)
def test_the_largest_ratio_that_does_not_move_a_second_moment(dtype, bits):
    beta2 = 0.9995
    ratio = adam_mini_precision.stalled_ratio.at(p=bits, b2=beta2)
    v = binade(dtype, bits)
    assert float(after(v[:1], beta2, ratio * (1 - 1e-9))) == 1.0 < float(after(v[:1], beta2, ratio * 1.001))
    assert (after(v, beta2, 0.0) <= v).all()
    moved = torch.stack([after(one, beta2, ratio * 1.001 * float(one)) > one for one in v])
    assert moved.all()
