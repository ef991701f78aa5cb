"""SubZero against the authors' update, the chain rule by autograd, exact moments of the estimator, and the laws of U and V.

Means over a Gaussian Z are taken exactly, by Gauss-Hermite points: three per coefficient are exact up to degree 5.
"""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import advance, due
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.subzero import SubZero, alignment, most_square, perturbation, subspace
from sandbox.shells.stepwise import Stepwise

M, N, R = 6, 5, 2
Q, D = R * R, M * N
F64 = torch.float64
each_shape = pytest.mark.parametrize("shape", [(6, 5), (5, 6), (5, 5)], ids=str)


def bases(*key: int, m: int = M, n: int = N, r: int = R) -> tuple[Tensor, Tensor]:
    return subspace(normal((m + n, r), generator(*key)), m)


def started(rule: SubZero, w: Tensor, *key: int):
    return rule.refresh(w, rule.init(w), w, rule.draw(generator(*key), tuple(w.shape)))


def projected(g: Tensor, U: Tensor, V: Tensor) -> Tensor:
    return U @ (U.T @ g @ V) @ V.T


@each_shape
@pytest.mark.parametrize("view", ["own", "most square"])
def test_with_the_two_point_gradient_it_is_the_update_of_the_authors(shape, view):
    """W <- W - lr s mu U Z V^T with mu = sqrt(entries of W / entries of Z), for the gradient s mu U Z V^T."""
    w, Z, slope, lr = normal(shape, generator(0)), normal((R, R), generator(1)), -0.7, 0.1
    rule = SubZero(GradientDescent(lr), rank=R, shape=view)
    state = started(rule, w, 2)
    theirs = (state.U @ Z @ state.V.T * math.sqrt(w.numel() / Z.numel())).reshape(shape)
    torch.testing.assert_close(perturbation(state.U, Z, state.V).reshape(shape), theirs, rtol=0, atol=1e-14)
    delta, _ = rule.step(slope * theirs, state, w)
    torch.testing.assert_close(delta, -lr * slope * theirs, rtol=1e-12, atol=1e-14)


def test_the_oracle_finds_the_subspace_of_the_frame_from_the_same_draw():
    w, rule = normal((M, N), generator(0)), SubZero(GradientDescent(0.1), rank=R)
    state, draw = started(rule, w, 7, 0, 0), rule.draw(generator(7, 0, 0), (M, N))
    assert all(torch.equal(a, b) for a, b in zip(subspace(draw, M), (state.U, state.V), strict=True))


def test_the_inner_rule_sees_the_slope_times_z():
    w, Z = normal((M, N), generator(0)), normal((R, R), generator(1))
    rule = SubZero(Adam(0.1, betas=(0.0, 0.0)), rank=R)
    state = started(rule, w, 2)
    _, after = rule.step(-0.7 * perturbation(state.U, Z, state.V), state, w)
    torch.testing.assert_close(after.inner.m, -0.7 * Z, rtol=1e-12, atol=0)
    torch.testing.assert_close(after.inner.v, (0.7 * Z) ** 2, rtol=1e-12, atol=0)


def loss(w: Tensor) -> Tensor:
    scale = torch.arange(1, w.numel() + 1, dtype=F64).reshape(w.shape) / w.numel()
    return torch.log1p((scale * (w - 1)) ** 2).sum()


@each_shape
def test_with_backprop_the_coefficients_follow_the_chain_rule(shape):
    """C = the gradient of loss(W + mu U B V^T) at B = 0, by autograd."""
    w = normal(shape, generator(0))
    rule = SubZero(GradientDescent(0.1, momentum=0.5), rank=R, gradient="backprop")
    state = started(rule, w, 2)
    C = torch.func.grad(lambda B: loss(w + perturbation(state.U, B, state.V)))(torch.zeros(R, R, dtype=F64))
    delta, after = rule.step(torch.func.grad(loss)(w), state, w)
    torch.testing.assert_close(after.inner.b, C, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(delta, -0.1 * perturbation(state.U, C, state.V), rtol=1e-12, atol=1e-14)


def gauss_hermite() -> tuple[Tensor, Tensor]:
    """Points (3^q, r, r) and weights (3^q,) whose sums are the means of polynomials of degree <= 5 in a Gaussian Z."""
    nodes, weights = (-math.sqrt(3), 0.0, math.sqrt(3)), (1 / 6, 2 / 3, 1 / 6)
    points = torch.tensor(list(itertools.product(nodes, repeat=Q)), dtype=F64).reshape(-1, R, R)
    return points, torch.tensor(list(itertools.product(weights, repeat=Q)), dtype=F64).prod(1)


def estimates(g: Tensor, H: Tensor, U: Tensor, V: Tensor, Zs: Tensor) -> Tensor:
    """Central differences of a quadratic at steps of 0.3 along mu U Z V^T, times that direction; one per Z."""

    def f(x: Tensor) -> Tensor:
        return (g * x).sum() + 0.5 * x.flatten() @ H @ x.flatten()

    def one(Z: Tensor) -> Tensor:
        direction = perturbation(U, Z, V)
        return (f(0.3 * direction) - f(-0.3 * direction)) / 0.6 * direction

    return torch.func.vmap(one)(Zs)


def test_moments_of_the_estimator_in_a_fixed_subspace():
    """U1, with norm alignment: E ghat = mu^2 P P^T g and E |ghat|^2 = mu^4 (q + 2) |P^T g|^2; the theorem has mu = 1."""
    g, root = normal((M, N), generator(0)), normal((D, D), generator(1))
    (U, V), (Zs, weights) = bases(2), gauss_hermite()
    found, mu2 = estimates(g, root @ root.T, U, V, Zs), D / Q
    torch.testing.assert_close(torch.tensordot(weights, found, 1), mu2 * projected(g, U, V), rtol=0, atol=1e-12)
    energy = (weights * found.square().sum((1, 2))).sum()
    torch.testing.assert_close(energy, mu2**2 * (Q + 2) * (U.T @ g @ V).square().sum(), rtol=1e-12, atol=0)


def test_the_two_origins_of_a_gradient_give_the_same_mean_step():
    """The mean over Z of the step for s Z' (two-point) is the step for the gradient itself (backprop)."""
    g, w, (Zs, weights) = normal((M, N), generator(0)), normal((M, N), generator(1)), gauss_hermite()
    two_point, backprop = SubZero(GradientDescent(0.1), R), SubZero(GradientDescent(0.1), R, gradient="backprop")
    state = started(two_point, w, 2)
    found = estimates(g, torch.zeros(D, D, dtype=F64), state.U, state.V, Zs)
    steps = torch.func.vmap(lambda x: two_point.step(x, state, w)[0])(found)
    expected, _ = backprop.step(g, state, w)
    torch.testing.assert_close(torch.tensordot(weights, steps, 1), expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(expected, -0.1 * D / Q * projected(g, state.U, state.V), rtol=0, atol=1e-13)


def test_cosine_with_the_projected_gradient():
    """U1: E cos^2 = 1/q. 40000 draws, five standard errors (about 1.5 % of 1/q)."""
    g, (U, V) = normal((M, N), generator(0)), bases(2)
    Zs = normal((40_000, R, R), generator(3))
    squares = (Zs * (U.T @ g @ V)).sum((1, 2)).square() / (Zs.square().sum((1, 2)) * (U.T @ g @ V).square().sum())
    assert abs(squares.mean().item() - 1 / Q) < 5 * squares.std().item() / 200


def shares(g: Tensor, *, r: int, n_draws: int, key: int) -> tuple[Tensor, Tensor, Tensor]:
    """|P^T g|^2 / |g|^2 over random subspaces, with P^T g (n_draws, r, r) and one Z each."""
    m, n = g.shape
    U, V = torch.func.vmap(lambda x: subspace(x, m))(normal((n_draws, m + n, r), generator(key)))
    coefficients = U.mT @ g @ V
    return coefficients.square().sum((1, 2)) / g.square().sum(), coefficients, normal((n_draws, r, r), generator(key, 1))


def test_over_random_subspaces_it_is_no_closer_to_the_gradient_than_a_full_gaussian():
    """U2 and U4: E cos^2(ghat, g) = 1/d, E |ghat|^2 = d (1 + 2/q) |g|^2, and <E ghat, g> = |g|^2: with Z' = mu U Z V^T,
    <Z', g> = mu <Z, P^T g> and |Z'| = mu |Z|. 40000 draws; relative standard errors 1 to 3 %, checked to five."""
    g = normal((M, N), generator(0))
    _, C, Z = shares(g, r=R, n_draws=40_000, key=5)
    mu2, size = D / Q, g.square().sum()
    slope, length = mu2**0.5 * (Z * C).sum((1, 2)), mu2 * Z.square().sum((1, 2))
    for sample, expected in (
        (slope.square() / (length * size), 1 / D),
        (slope.square() * length / size, D * (1 + 2 / Q)),
        (slope.square() / size, 1.0),
    ):
        error = sample.std().item() / 200
        assert abs(sample.mean().item() - expected) < 5 * error and error < 0.05 * expected


def test_a_gradient_of_low_rank_has_the_same_mean_share_and_a_larger_spread():
    """U3: E = q/d whatever the rank; for rank one the share is a product of two beta variables, so that
    E X^2 / (E X)^2 = m n (r + 2)^2 / (r^2 (m + 2)(n + 2)). 20000 draws, the second moment to five standard errors."""
    m, n, r = 24, 20, 4
    g1 = normal((m, 1), generator(0)) @ normal((1, n), generator(1))
    full, _, _ = shares(normal((m, n), generator(2)), r=r, n_draws=20_000, key=6)
    one, _, _ = shares(g1, r=r, n_draws=20_000, key=7)
    for share in (one, full):
        assert abs(share.mean().item() * m * n / r**2 - 1) < 5 * share.std().item() * m * n / r**2 / 20_000**0.5
    second = one.square() * (m * n / r**2) ** 2
    assert abs(second.mean().item() - m * n * (r + 2) ** 2 / (r**2 * (m + 2) * (n + 2))) < 5 * second.std().item() / 20_000**0.5
    assert full.std() < 0.5 * one.std()


def test_perturbations_have_the_length_of_a_full_gaussian():
    """|mu U Z V^T|^2 = (m n / r^2) |Z|^2, whose mean is m n, for these columns are orthonormal."""
    (U, V), Z = bases(2), normal((R, R), generator(3))
    for X in (U, V):
        torch.testing.assert_close(X.T @ X, torch.eye(R, dtype=F64), rtol=0, atol=1e-14)
    torch.testing.assert_close(perturbation(U, Z, V).square().sum(), D / Q * Z.square().sum(), rtol=1e-13, atol=0)
    assert alignment(U, V) == pytest.approx(math.sqrt(30) / 2, rel=1e-15)


def test_u_and_v_come_from_different_numbers():
    U, V = bases(2, m=5, n=5)
    assert (U - V).abs().max() > 0.1 and U.shape == V.shape == (5, R)


def test_an_inner_weight_is_the_coefficient_of_w():
    """A rule that only decays moves W by -lr wd U U^T W V V^T."""
    w = normal((M, N), generator(0))
    rule = SubZero(AdamW(lr=0.1, weight_decay=0.5), rank=R)
    state = started(rule, w, 2)
    delta, _ = rule.step(torch.zeros_like(w), state, w)
    torch.testing.assert_close(delta, -0.05 * projected(w, state.U, state.V), rtol=0, atol=1e-14)


def test_a_refresh_changes_the_subspace_and_keeps_the_inner_state():
    w, rule = normal((M, N), generator(0)), SubZero(Adam(0.1), rank=R, update_gap=3)
    assert [k for k in range(8) if due(rule, k)] == [0, 3, 6]
    _, state = advance(rule, w, rule.init(w), w, 0, rule.draw(generator(1), (M, N)))
    new = rule.refresh(w, state, w, rule.draw(generator(2), (M, N)))
    assert torch.equal(new.inner.m, state.inner.m) and new.inner.m.any()
    assert (new.U - state.U).abs().max() > 0.1 and (new.V - state.V).abs().max() > 0.1


@pytest.mark.parametrize("size", range(1, 130))
def test_most_square_is_the_best_of_all_factorisations(size):
    best = min(((a, size // a) for a in range(1, size + 1) if size % a == 0 and a <= size // a), key=lambda ab: ab[1] - ab[0])
    assert most_square(size) == best


def test_tall_factors_take_a_rank_above_their_short_side_once_reshaped():
    """U10: a LoRA factor (512, 2) has no rank-8 subspace of its own; as (32, 32) it has."""
    w = normal((512, 2), generator(0))
    with pytest.raises(ValueError, match=r"rank 8 of SubZero needs .* got shape \(512, 2\), seen as \(512, 2\); .*shape='most square'"):
        SubZero(GradientDescent(0.1), rank=8).init(w)
    rule = SubZero(GradientDescent(0.1), rank=8, shape="most square")
    state = started(rule, w, 1)
    assert state.U.shape == state.V.shape == (32, 8) and rule.draw(generator(1), (512, 2)).shape == (64, 8)
    delta, _ = rule.step(w, state, w)
    torch.testing.assert_close(delta, -0.1 * projected(w.reshape(32, 32), state.U, state.V).reshape(512, 2), rtol=0, atol=1e-14)


def test_a_run_that_is_resumed_between_refreshes_has_its_subspace():
    """The authors' code makes its table at global step 0 only. Stopped after 5 of 10 steps, refreshes at 0, 4 and 8: same bits."""

    def trained(steps: range, w: nn.Parameter, saved: dict | None) -> dict:
        optimizer = Stepwise([("w", w)], SubZero(Adam(0.1), rank=R, update_gap=4), seed=3)
        optimizer.load_state_dict(saved) if saved else None
        for k in steps:
            w.grad = normal((M, N), generator(4, k))
            optimizer.step()
        return optimizer.state_dict()

    straight, broken = (nn.Parameter(normal((M, N), generator(0))) for _ in range(2))
    trained(range(10), straight, None)
    saved = trained(range(5), broken, None)
    assert saved["state"][0]["U"].any() and saved["state"][0]["V"].any()
    trained(range(5, 10), broken, saved)
    assert torch.equal(straight, broken)


def test_memory_of_opt_13b():
    """U9: r (m + n) numbers per matrix beside the inner state; 40 layers of 4 (5120, 5120) and 2 (5120, 20480) matrices, rank 64,
    float16: 236 M numbers, 0.44 GiB. Meta tensors: no memory is taken."""
    rule, bytes_taken = SubZero(GradientDescent(0.1), rank=64), 0
    for shape, count in (((5120, 5120), 40 * 4), ((20480, 5120), 40), ((5120, 20480), 40)):
        state = rule.init(torch.empty(shape, dtype=torch.float16, device="meta"))
        bytes_taken += count * sum(x.nbytes for x in (state.U, state.V))
    assert bytes_taken == 2 * 64 * 40 * (4 * (5120 + 5120) + 2 * (5120 + 20480))
    assert bytes_taken / 2**30 == pytest.approx(0.44, abs=0.005)  # as printed, to two digits


def test_a_step_compiles_to_one_graph():
    w, g, rule = normal((M, N), generator(0)), normal((M, N), generator(1)), SubZero(GradientDescent(0.1, momentum=0.9), rank=R)
    state = started(rule, w, 2)
    compiled, after = torch.compile(rule.step, fullgraph=True, dynamic=False, backend="aot_eager")(g, state, w)
    torch.testing.assert_close(compiled, rule.step(g, state, w)[0], rtol=0, atol=1e-14)
    torch.testing.assert_close(after.inner.b, rule.step(g, state, w)[1].inner.b, rtol=0, atol=1e-14)


def test_defaults_are_those_of_the_authors_example():
    rule = SubZero(GradientDescent(0.1), rank=24)
    assert (rule.update_gap, rule.period, rule.gradient, rule.shape) == (1000, 1000, "two-point", "own")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SubZero(Adam(0.1), rank=0), "^rank of SubZero must be an int >= 1, got 0"),
        (lambda: SubZero(Adam(0.1), rank=2, update_gap=0), "^update_gap of SubZero must be an int >= 1, got 0"),
        (
            lambda: SubZero(Adam(0.1), 2, gradient="forward"),
            "gradient of two-point, backprop and .* got gradient 'forward' and shape 'own'",
        ),
        (lambda: SubZero(Adam(0.1), 2, shape="square"), "got gradient 'two-point' and shape 'square'"),
        (lambda: SubZero(GaLore(Adam(0.1), rank=2), 2), "^SubZero cannot hold GaLore"),
        (lambda: SubZero(Adam(0.1), 6).init(torch.ones(6, 5)), r"rank 6 of SubZero needs .* got shape \(6, 5\), seen as \(6, 5\)"),
        (lambda: bases(1, m=6, n=3, r=4), "a subspace of rank 4 needs a matrix with both sides >= rank, got 6 x 3"),
        (lambda: SubZero(Adam(0.1), 2, shape="most square").init(torch.ones(0, 4)), r"got shape \(0, 4\), seen as \(0, 0\)"),
        (lambda: SubZero(Adam(0.1), 2).init(torch.ones(6)), r"got shape \(6,\), seen as \(6,\)"),
        (
            lambda: SubZero(Adam(0.1), 2, shape="most square").init(torch.ones(7)),
            r"\(7,\), seen as \(1, 7\); give this block a smaller rank or",
        ),
    ],
)
def test_bad_settings_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
