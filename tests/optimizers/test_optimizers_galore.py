"""GaLore against a run put together from numpy's SVD and torch.optim.Adam (independent code), against the projector of
galore_torch, and its defining identities."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import advance
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.projection import Basis, lift, top_singular
from sandbox.optimizers.rso import RSO

SHAPES = [(5, 8), (8, 5), (6, 6)]  # wide, tall, square
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@each_shape
def test_full_rank_gradient_descent_is_plain_gradient_descent(shape):
    """P is square and orthogonal, so P P^T G = G."""
    w, g = normal(shape, generator(0)), normal(shape, generator(1))
    rule = GaLore(GradientDescent(lr=0.1), rank=min(shape), scale=0.5)
    delta, _ = advance(rule, g, rule.init(w), w, 0)
    torch.testing.assert_close(delta, -0.05 * g, rtol=1e-12, atol=1e-14)


@each_shape
def test_basis_keeps_the_most_energy_that_any_basis_can(shape):
    """Eckart-Young: the coefficients hold the sum of the r largest squared singular values, and P^T P = I."""
    w, g = normal(shape, generator(0)), normal(shape, generator(1))
    rule = GaLore(GradientDescent(lr=1.0), rank=2, scale=1.0)
    delta, state = advance(rule, g, rule.init(w), w, 0)
    best = torch.linalg.svdvals(g)[:2].square().sum()
    torch.testing.assert_close(delta.square().sum(), best, rtol=1e-12, atol=0)
    torch.testing.assert_close(state.P.T @ state.P, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-13)


@each_shape
def test_the_short_side_is_compressed(shape):
    w = torch.ones(shape)
    state = GaLore(Adam(lr=0.1), rank=2).init(w)
    assert state.P.shape == (min(shape), 2)
    assert state.inner.m.shape == {(5, 8): (2, 8), (8, 5): (8, 2), (6, 6): (2, 6)}[shape]


def test_each_vector_has_its_largest_entry_positive():
    P = top_singular(normal((20, 30), generator(2)), 10)
    assert (P.gather(0, P.abs().argmax(0, keepdim=True)) > 0).all()
    torch.testing.assert_close(top_singular(-normal((20, 30), generator(2)), 10), P, rtol=0, atol=1e-13)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@each_shape
def test_a_gradient_that_is_not_finite_reaches_the_weights_and_raises_nothing(shape, bad):
    w, g = normal(shape, generator(0)), normal(shape, generator(1))
    g[1, 2] = bad
    rule = GaLore(GradientDescent(lr=0.1), rank=2)
    delta, state = advance(rule, g, rule.init(w), w, 0)
    assert state.P.isfinite().all() and not delta.isfinite().all()


def test_stacked_gradients_do_not_feel_the_one_that_is_not_finite():
    """Under vmap, as in an ensemble; LAPACK takes the whole stack in one call."""
    g = normal((3, 5, 8), generator(2))
    broken = g.clone()
    broken[1] = float("nan")
    whole, rest = (torch.func.vmap(lambda x: top_singular(x, 2))(x) for x in (g, broken))
    torch.testing.assert_close(rest[[0, 2]], whole[[0, 2]], rtol=0, atol=0)
    assert rest.isfinite().all()


def independent_run(start: np.ndarray, gradient, *, rank: int, gap: int, scale: float, n: int) -> np.ndarray:
    """GaLore on a wide weight: numpy's SVD, torch's Adam on one small parameter whose moments outlive the basis."""
    w, small = start.copy(), torch.nn.Parameter(torch.zeros(rank, start.shape[1], dtype=torch.float64))
    adam = torch.optim.Adam([small], lr=0.1)
    for k in range(n):
        g = gradient(w, k)
        if k % gap == 0:
            u = np.linalg.svd(g)[0][:, :rank]
            P = u * np.sign(u[np.abs(u).argmax(0), range(rank)])
        small.grad, before = torch.from_numpy(P.T @ g), small.detach().clone()
        adam.step()
        w = w + scale * P @ (small.detach() - before).numpy()
    return w


@pytest.mark.parametrize("tall", [False, True])
def test_matches_a_run_put_together_by_hand(tall):
    """Twelve steps with refreshes at 0, 5 and 10, so both the refresh step and the kept moments matter."""
    start, pull = normal((5, 8), generator(3)), normal((5, 5), generator(4)).numpy()
    gradient = lambda w, k: pull @ pull.T @ w + normal((5, 8), generator(5, k)).numpy()  # noqa: E731
    expected = independent_run(start.numpy(), gradient, rank=2, gap=5, scale=0.3, n=12)
    flip = (lambda x: x.T) if tall else (lambda x: x)
    w, rule = flip(start), GaLore(Adam(lr=0.1), rank=2, update_gap=5, scale=0.3)
    state = rule.init(w)
    for k in range(12):
        delta, state = advance(rule, flip(torch.from_numpy(gradient(flip(w).numpy(), k))), state, w, k)
        w = w + delta
    # two SVDs agree to 1e-15 over the gap of singular values, and Adam's step is Lipschitz in them
    torch.testing.assert_close(flip(w), torch.from_numpy(expected), rtol=0, atol=1e-11)


def test_inner_rule_sees_the_projected_weight():
    """An inner rule that only decays moves W by -lr wd scale P P^T W."""
    from sandbox.optimizers.adamw import AdamW

    w, g = normal((5, 8), generator(0)), normal((5, 8), generator(1))
    rule = GaLore(AdamW(lr=0.1, weight_decay=0.5), rank=2, scale=0.3)
    state = rule.refresh(g, rule.init(w), w, None)
    delta, _ = rule.step(torch.zeros_like(g), state, w)
    torch.testing.assert_close(delta, -0.1 * 0.5 * 0.3 * state.P @ state.P.T @ w, rtol=1e-12, atol=1e-14)


def test_defaults_are_those_of_the_paper():
    rule = GaLore(Adam(lr=0.01), rank=128)
    assert (rule.update_gap, rule.period, rule.scale) == (200, 200, 0.25)


@pytest.mark.parametrize("shape", [(64, 512), (512, 64), (512,)])
def test_a_tensor_that_is_too_small_is_refused(shape):
    message = r"rank 128 needs a 2-D weight with both sides >= rank, got shape \(.*\); give this block an unprojected rule"
    with pytest.raises(ValueError, match=message):
        GaLore(Adam(lr=0.1), rank=128).init(torch.ones(shape))


def test_rso_needs_only_the_compressed_side():
    assert RSO(Adam(lr=0.1), rank=4, update_gap=5, side=1).init(torch.ones(2, 8)).B.shape == (2, 4)
    with pytest.raises(ValueError, match=r"rank 4 needs a 2-D weight with side 0 >= rank, got shape \(2, 8\)"):
        RSO(Adam(lr=0.1), rank=4, update_gap=5, side=0).init(torch.ones(2, 8))


@pytest.mark.parametrize("bad", [{"rank": 0}, {"rank": 2, "update_gap": 0}, {"rank": 2, "scale": -1.0}])
def test_bad_settings_are_refused(bad):
    name = list(bad)[-1]
    with pytest.raises(ValueError, match=rf"^{name} of GaLore must be .* got {bad[name]}"):
        GaLore(Adam(lr=0.1), **bad)


def with_spectrum(shape: tuple[int, int], key: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Singular values 1, 1/2, 1/4, ...: far apart, so that two decompositions agree on the vectors to about the rounding of float32."""
    left, right = (torch.linalg.qr(normal((n, min(shape)), generator(key, n)))[0] for n in shape)
    return (left * 0.5 ** torch.arange(min(shape)) @ right.T).to(dtype)


@pytest.mark.parametrize(
    ("side", "proj_type", "shapes"),
    [
        ("short", "std", [(5, 8), (8, 5)]),
        ("long", "reverse_std", [(5, 8), (8, 5)]),
        (0, "left", SHAPES),
        (1, "right", SHAPES),
        ("both", "full", SHAPES),
        (1, "std", [(6, 6)]),  # a square matrix has side 1 compressed there and side 0 here
        (0, "reverse_std", [(6, 6)]),
    ],
)
def test_projections_are_those_of_galore_torch(side, proj_type, shapes):
    """P P^T G does not feel the signs. Seven steps, refreshes at 0, 3 and 6, the gradient of every step another one."""
    for shape in shapes:
        peer = galore_torch().GaLoreProjector(2, update_proj_gap=3, scale=0.7, proj_type=proj_type)
        rule, w = GaLore(GradientDescent(lr=1.0), rank=2, update_gap=3, scale=0.7, side=side), torch.zeros(shape)
        state = rule.init(w)
        for k in range(7):
            g = with_spectrum(shape, 10 + k)
            theirs = peer.project_back(peer.project(g, k))
            delta, state = advance(rule, g, state, w, k)
            torch.testing.assert_close(-delta, theirs, rtol=0, atol=2e-6)  # |g| = 1: rounding 6e-8 over a gap of 1/4, squared sums of 8


def galore_torch():
    """The file alone: the package imports quantised optimizers, which this project does not need."""
    found = importlib.util.find_spec("galore_torch")
    if found is None:
        pytest.skip("galore_torch is not installed; pip install galore-torch to compare with it")
    spec = importlib.util.spec_from_file_location("galore_projector", Path(found.submodule_search_locations[0]) / "galore_projector.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@each_shape
@pytest.mark.parametrize("side", [0, 1, "long", "both"])
def test_full_rank_is_plain_gradient_descent_on_every_side(shape, side):
    """min(m, n) singular directions hold all of G, on either side."""
    w, g = normal(shape, generator(0)), normal(shape, generator(1))
    rule = GaLore(GradientDescent(lr=0.1), rank=min(shape), scale=0.5, side=side)
    delta, _ = advance(rule, g, rule.init(w), w, 0)
    torch.testing.assert_close(delta, -0.05 * g, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("side", "expected"), [(0, (2, 8)), (1, (5, 2)), ("short", (2, 8)), ("long", (5, 2)), ("both", (2, 2))])
def test_the_moments_have_the_shape_of_the_coefficients(side, expected):
    assert GaLore(Adam(lr=0.1), rank=2, side=side).init(torch.ones(5, 8)).inner.m.shape == expected


@each_shape
def test_both_bases_are_signed_by_their_largest_entry(shape):
    """Both would turn with the gradient otherwise: P for -G is P for G, and the core takes the sign."""
    g = normal(shape, generator(1))
    rule = GaLore(Adam(lr=0.1), rank=3, side="both")
    state, turned = (rule.refresh(x, rule.init(x), x, None) for x in (g, -g))
    for one, other in ((state.P, turned.P), (state.Q, turned.Q)):
        assert (one.gather(0, one.abs().argmax(0, keepdim=True)) > 0).all()
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13)


def test_the_first_core_is_diagonal_and_holds_the_singular_values():
    g = normal((5, 8), generator(1))
    rule = GaLore(Adam(lr=0.1), rank=3, side="both")
    state = rule.refresh(g, rule.init(g), g, None)
    core = state.P.T @ g @ state.Q
    torch.testing.assert_close(core.abs(), torch.linalg.svdvals(g)[:3].diag(), rtol=0, atol=1e-13)


def test_the_first_two_sided_step_of_adam_is_rounding_off_the_diagonal():
    """In float32 the twelve entries that should be 0 move by more than half the learning rate, like the four that should."""
    g = normal((6, 8), generator(1)).float()
    rule = GaLore(Adam(lr=1.0), rank=4, scale=1.0, side="both")
    delta, state = advance(rule, g, rule.init(g), g, 0)
    core, moved = state.P.T @ g @ state.Q, state.P.T @ delta @ state.Q
    off = ~torch.eye(4, dtype=torch.bool)
    assert core[off].abs().max() < 1e-5 and moved[off].abs().min() > 0.5
    exact = GaLore(Adam(lr=1.0), rank=4, scale=1.0, side="both")  # in float64 rounding lies under eps = 1e-8
    delta, state = advance(exact, g.double(), exact.init(g.double()), g.double(), 0)
    assert (state.P.T @ delta @ state.Q)[off].abs().max() < 1e-5


@pytest.mark.parametrize("shape", [(5, 8), (8, 5)])
@pytest.mark.parametrize("side", [0, 1])
def test_a_turned_buffer_is_the_same_direction_of_the_weight(shape, side):
    """The second gradient has the singular vectors of the first, in another order: one subspace, another basis."""
    U, s, Vh = torch.linalg.svd(normal(shape, generator(1)), full_matrices=False)
    order = [1, 2, 0, *range(3, len(s))]
    first, second = U * s @ Vh, U[:, order] * s @ Vh[order]
    lifted = {}
    for on_refresh in ("keep", "rotate"):
        rule = GaLore(GradientDescent(lr=1.0, momentum=0.9), rank=3, update_gap=1, side=side, on_refresh=on_refresh)
        _, before = advance(rule, first, rule.init(first), first, 0)
        after = rule.refresh(second, before, first, None)
        lifted[on_refresh] = [lift(state.inner.b, Basis(side, state.P)) for state in (before, after)]
    torch.testing.assert_close(*lifted["rotate"], rtol=0, atol=1e-13)
    assert (lifted["keep"][0] - lifted["keep"][1]).abs().max() > 0.1


def test_a_reset_forgets_and_a_turn_keeps_the_second_moment():
    w, g, other = (normal((5, 8), generator(i)) for i in range(3))
    states = {}
    for on_refresh in ("keep", "reset", "rotate"):
        rule = GaLore(Adam(lr=0.1), rank=2, on_refresh=on_refresh)
        _, before = advance(rule, g, rule.init(w), w, 0)
        states[on_refresh] = rule.refresh(other, before, w, None)
    assert states["keep"].inner is before.inner or torch.equal(states["keep"].inner.m, before.inner.m)
    assert not states["reset"].inner.m.any() and not states["reset"].inner.v.any() and states["reset"].inner.b1_t == 1.0
    turned = states["rotate"].inner
    torch.testing.assert_close(turned.m, states["rotate"].P.T @ before.P @ before.inner.m, rtol=1e-13, atol=0)
    assert torch.equal(turned.v, before.inner.v) and turned.b1_t == before.inner.b1_t


def test_a_frame_inside_a_frame_is_refused():
    sentence = "GaLore cannot hold RSO, which refreshes every 5 steps: a tensor has one frame with a refresh"
    with pytest.raises(ValueError, match=sentence):
        GaLore(RSO(Adam(lr=0.1), rank=2, update_gap=5), rank=4)


@pytest.mark.parametrize("bad", [{"side": 2}, {"side": "left"}, {"side": True}, {"on_refresh": "turn"}])
def test_an_unknown_side_or_treatment_is_refused(bad):
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match=f"{name} of GaLore must be one of .*, got {value!r}"):
        GaLore(Adam(lr=0.1), rank=2, **bad)


def test_a_two_sided_moment_is_not_turned():
    with pytest.raises(ValueError, match='must be "keep" or "reset" with side "both", got "rotate": the first core is diagonal'):
        GaLore(Adam(lr=0.1), rank=2, side="both", on_refresh="rotate")
