"""SGC, MESGC, CESGC and the two readings of `Adam in R^k` against top-s gradient descent, torch.optim.Adam, numpy's SVD and
their defining identities."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.base import advance, due
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.orthogonal_matching_pursuit import recover
from sandbox.optimizers.sgc import SGC, largest, unit_columns
from sandbox.optimizers.sgc_adam import SGCAdam

SHAPE, D = (6, 8), 48
F64 = torch.float64


def started(rule, w: Tensor, *key: int):
    return rule.refresh(w, rule.init(w), w, rule.draw(generator(*key), tuple(w.shape)))


def top_by_hand(x: np.ndarray, s: int) -> np.ndarray:
    kept = np.argsort(-np.abs(x))[:s]
    return np.where(np.isin(np.arange(x.size), kept), x, 0)


def cosine(a: Tensor, b: Tensor) -> float:
    return torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0).item()


def test_with_gradient_descent_inside_it_is_descent_along_the_largest_entries():
    """Linear inside, so A t comes back scaled, and 30 measurements of 48 entries recover 4."""
    w, g = normal(SHAPE, generator(0)), normal(SHAPE, generator(1))
    rule = SGC(GradientDescent(lr=0.1), sparsity=4, measurements=30)
    delta, _ = rule.step(g, started(rule, w, 2), w)
    expected = -0.1 * top_by_hand(g.flatten().numpy(), 4).reshape(SHAPE)
    torch.testing.assert_close(delta, torch.from_numpy(expected), rtol=1e-12, atol=1e-14)


def test_the_matrix_has_unit_columns_and_is_drawn_once():
    w = normal(SHAPE, generator(0))
    rule = SGC(Adam(0.1), sparsity=4, measurements=30)
    assert started(rule, w, 2).A.shape == (30, D)
    torch.testing.assert_close(started(rule, w, 2).A.norm(dim=0), torch.ones(D, dtype=F64), rtol=1e-14, atol=0)
    assert [k for k in range(10_000) if due(rule, k)] == [0]
    assert not torch.equal(started(rule, w, 2).A, started(rule, w, 3).A)


@pytest.mark.parametrize("rule", [SGC(Adam(0.1), 4, 30, update_gap=3), SGCAdam(0.1, 4, 30, update_gap=3)], ids=["inside", "apart"])
def test_a_new_matrix_starts_the_moments_anew(rule):
    """Step 3 of a run is step 0 of a new run with that draw, whatever the moments were."""
    w, g = normal(SHAPE, generator(0)), [normal(SHAPE, generator(1, k)) for k in range(4)]
    state = rule.init(w)
    for k in range(4):
        delta, state = advance(rule, g[k], state, w, k, rule.draw(generator(2, k), SHAPE) if due(rule, k) else None)
    fresh, again = advance(rule, g[3], rule.init(w), w, 0, rule.draw(generator(2, 3), SHAPE))
    assert torch.equal(delta, fresh)
    assert all(torch.equal(torch.as_tensor(x), torch.as_tensor(y)) for x, y in zip(tree_leaves(state), tree_leaves(again), strict=True))


def test_chunks_are_runs_of_their_own_with_one_matrix():
    """MESGC on 96 entries in 2 parts, 8 steps of Adam, against SGC on each half with the same draw."""
    w, halves = normal((2, D), generator(0)), SGC(Adam(0.1), sparsity=4, measurements=20)
    whole = SGC(Adam(0.1), sparsity=8, measurements=40, chunks=2)
    state, parts = started(whole, w, 2), [started(halves, w[i], 2) for i in range(2)]
    assert state.A.shape == (20, D) and torch.equal(state.A, parts[0].A)
    for k in range(8):
        g = normal((2, D), generator(1, k))
        delta, state = whole.step(g, state, w)
        for i in range(2):
            expected, parts[i] = halves.step(g[i], parts[i], w[i])
            torch.testing.assert_close(delta[i], expected, rtol=0, atol=1e-12)  # sums of 48 products, in another order
        w = w + delta


def test_large_entries_of_one_chunk_compete_for_its_places():
    """C7: the 4 largest entries lie in the first half; one chunk keeps them all, two chunks keep 2 of them."""
    g = torch.cat([torch.tensor([5.0, -6.0, 7.0, -8.0], dtype=F64), 0.1 * normal((44,), generator(1))]).reshape(SHAPE)
    kept = {}
    for c in (1, 2):
        rule = SGC(GradientDescent(1.0), sparsity=4, measurements=32, chunks=c)
        delta, _ = rule.step(g, started(rule, g, 2), g)
        kept[c] = (delta.abs() > 1).sum().item()
        assert (delta.abs() > 1e-10).sum() == 4
    assert kept == {1: 4, 2: 2}


def sparse_gradients(seed: int, *, s: int, d: int, spread: float, steps: int) -> list[Tensor]:
    """One support; entry i is scale_i (mean_i + noise), the logarithm of the scale N(0, spread^2)."""
    support = normal((d,), generator(seed, 0)).argsort()[:s]
    mean, scale = normal((s,), generator(seed, 1)), (spread * normal((s,), generator(seed, 2))).exp()
    values = [scale * (mean + normal((s,), generator(seed, 3, t))) for t in range(steps)]
    return [torch.zeros(d, dtype=F64).scatter(0, support, v) for v in values]


def enough(s: int, d: int) -> int:
    return math.ceil(3 * s * math.log(d / s))


def test_moments_measured_apart_are_adam_while_the_support_stays():
    """C4, second reading: torch.optim.Adam on the sparse gradient, 40 steps, entries that differ a hundredfold."""
    s, d = 10, 200
    theirs = torch.nn.Parameter(normal((d,), generator(0)))
    optimizer, w = torch.optim.Adam([theirs], lr=0.1), theirs.detach().clone()
    rule = SGCAdam(lr=0.1, sparsity=s, measurements=enough(s, d))
    state = started(rule, w, 9)
    for g in sparse_gradients(4, s=s, d=d, spread=1.0, steps=40):
        theirs.grad = g
        optimizer.step()
        delta, state = rule.step(g, state, w)
        w = w + delta
    # v spans 1e4 and is recovered to 1e-15 of its largest entry: 1e-11 of a step of 0.1, forty times
    torch.testing.assert_close(w, theirs.detach(), rtol=0, atol=1e-10)


def cosines_inside(spread: float) -> tuple[float, float]:
    """Mean cosine of the step of SGC(Adam) with Adam's on t, and with the first moment; 10 runs of 40 steps."""
    s, d, adam, with_adam, with_moment = 10, 200, Adam(1.0), [], []
    for seed in range(10):
        w = torch.zeros(d, dtype=F64)
        rule, dense = SGC(adam, s, enough(s, d)), adam.init(w)
        state = started(rule, w, seed, 9)
        for g in sparse_gradients(seed, s=s, d=d, spread=spread, steps=40):
            delta, state = rule.step(g, state, w)
            expected, dense = adam.step(g, dense, w)
            with_adam.append(cosine(delta, expected))
            with_moment.append(cosine(delta, -dense.m))
    return float(np.mean(with_adam)), float(np.mean(with_moment))


def test_division_inside_the_measurements_loses_what_adam_adds():
    """C4, first reading. A measurement mixes all entries, so all k second moments are alike: the step follows the moment, and
    leaves Adam's the further the more the scales differ. 0.68 is known for some spread near 1; runs differ by 0.1,
    so the mean of ten by 0.03."""
    none, some, much = (cosines_inside(spread) for spread in (0.0, 1.0, 2.0))
    assert none[0] > 0.85 > some[0] + 0.05 > 0.7 > much[0] + 0.05
    assert min(none[1], some[1], much[1]) > 0.8 and much[1] > much[0] + 0.2


def test_half_of_the_compressed_second_moments_are_negative():
    """C5: q = A v with a law of A that is symmetric in each row, so signs are fair and independent: 20 runs of 90 entries,
    five standard errors are 0.059."""
    signs = []
    for seed in range(20):
        g = sparse_gradients(seed, s=10, d=200, spread=1.0, steps=1)[0]
        rule = SGCAdam(0.1, 10, enough(10, 200))
        signs.append(rule.step(g, started(rule, g, seed, 9), g)[1].q < 0)
    share = torch.cat(signs).double()
    assert share.numel() == 1800 and abs(share.mean().item() - 0.5) < 5 * 0.5 / 1800**0.5


def moments(rule: SGCAdam, gradients: list[Tensor], seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A, p, q and the dense first and second moments, after all gradients."""
    state = started(rule, gradients[0], seed, 9)
    m = v = torch.zeros_like(gradients[0])
    for g in gradients:
        _, state = rule.step(g, state, g)
        t = largest(g, rule.sparsity)
        m, v = 0.9 * m + 0.1 * t, 0.999 * v + 0.001 * t * t
    return state.A, state.p, state.q, torch.stack([m, v])


def churning(seed: int, churn: float, *, s: int, d: int) -> list[Tensor]:
    """60 gradients; before each, every place of the support is exchanged with probability `churn`."""
    support, gradients = normal((d,), generator(seed, 1)).argsort()[:s], []
    for t in range(60):
        outside = [i for i in normal((d,), generator(seed, 2, t)).argsort().tolist() if i not in support.tolist()][:s]
        moved = normal((s,), generator(seed, 3, t)) < torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(churn))
        support = torch.where(moved, torch.tensor(outside), support)
        gradients.append(torch.zeros(d, dtype=F64).scatter(0, support, normal((s,), generator(seed, 4, t))))
    return gradients


def test_moments_are_measurements_of_moments_but_not_sparse_ones():
    """C2: p = A m and q = A v always; what comes back of m is exact on a fixed support, 0.2 to 0.6 wrong when a tenth of it moves
    at every step, and all wrong when it moves as a whole."""
    s, d, errors = 10, 400, {}
    for churn in (0.0, 0.1, 1.0):
        errors[churn] = []
        for seed in range(6):
            A, p, q, (m, v) = moments(SGCAdam(0.1, s, enough(s, d)), churning(seed, churn, s=s, d=d), seed)
            torch.testing.assert_close(p, A @ m, rtol=0, atol=1e-13)
            torch.testing.assert_close(q, A @ v, rtol=0, atol=1e-13)
            errors[churn].append(((recover(A, p, s) - m).norm() / m.norm()).item())
    assert max(errors[0.0]) < 1e-12
    assert 0.2 < np.mean(errors[0.1]) < 0.6 and np.mean(errors[1.0]) > 0.8


def test_an_entry_without_a_positive_second_moment_stays():
    """p says that entry 5 moves and q says that nothing does: m / eps would be 1e8."""
    w = torch.zeros(SHAPE, dtype=F64)
    rule = SGCAdam(0.1, 2, 20)
    state = started(rule, w, 1)
    delta, _ = rule.step(w, state._replace(p=state.A[:, 5]), w)
    assert not delta.any()
    delta, _ = rule.step(w, state._replace(p=state.A[:, 5], q=state.A[:, 5], b1_t=0.9, b2_t=0.999), w)
    assert [i for i, x in enumerate(delta.flatten().abs() > 1e-6) if x] == [5]


@pytest.mark.parametrize(("chunks", "per_adam"), [(1, False), (4, True)])
def test_state_is_smaller_than_adams_with_chunks_only(chunks, per_adam):
    """C8: (k/c)(d/c) + 2 k numbers; Adam has 2 d. Less from about c^2 > k/2 on: 16 > 12 here."""
    w, k = normal((16, 24), generator(0)), 24
    d = w.numel()
    for rule in (SGC(Adam(0.1), 4, k, chunks=chunks), SGCAdam(0.1, 4, k, chunks=chunks)):
        count = sum(x.numel() for x in tree_leaves(started(rule, w, 1)) if isinstance(x, Tensor))
        assert count == k * d // chunks**2 + 2 * k
        assert (count < 2 * d) == per_adam


def test_adam_mini_inside_has_one_second_moment_per_chunk():
    w, g = normal(SHAPE, generator(0)), normal(SHAPE, generator(1))
    rule = SGC(AdamMini(0.1, n_blocks=2), sparsity=4, measurements=32, chunks=2)
    state = started(rule, w, 2)
    _, after = rule.step(g, state, w)
    halves = [state.A @ torch.from_numpy(top_by_hand(x.numpy(), 2)) for x in g.reshape(2, -1)]
    expected = 0.001 * torch.stack([y.square().mean() for y in halves])
    torch.testing.assert_close(after.inner.v, expected, rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match=r"n_blocks must divide .*got n_blocks 5 and shape \(32,\)"):
        SGC(AdamMini(0.1, n_blocks=5), sparsity=4, measurements=32).init(w)


def test_the_inner_rule_sees_the_measured_weight():
    """A rule that only decays, D = -lr wd A w, moves w by the recovered -lr wd w: all of it where w is sparse."""
    from sandbox.optimizers.adamw import AdamW

    w = largest(normal((D,), generator(0)), 4)
    rule = SGC(AdamW(lr=0.1, weight_decay=0.5), sparsity=4, measurements=30)
    delta, _ = rule.step(torch.zeros_like(w), started(rule, w, 2), w)
    torch.testing.assert_close(delta, -0.05 * w, rtol=1e-12, atol=1e-14)


def test_cesgc_hands_the_projected_weight_on():
    """The same decay moves W by -scale lr wd P T(P^T W), here with all 16 coefficients recovered."""
    from sandbox.optimizers.adamw import AdamW

    w = normal((5, 8), generator(0))
    rule = CESGC(SGC(AdamW(lr=0.1, weight_decay=0.5), sparsity=16, measurements=24), rank=2, scale=0.3)
    state = started(rule, w, 2)
    delta, _ = rule.step(torch.zeros_like(w), state, w)
    torch.testing.assert_close(delta, -0.3 * 0.05 * state.P @ state.P.T @ w, rtol=1e-10, atol=1e-12)


def cesgc_by_hand(w: np.ndarray, g: np.ndarray, A: np.ndarray, b: np.ndarray, *, P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Momentum on the measurements of the 3 largest entries of P^T G, rank 2, scale 0.5, lr 0.1."""
    b = 0.9 * b + A @ top_by_hand((P.T @ g).flatten(), 3)
    R = recover(torch.from_numpy(A), torch.from_numpy(-0.1 * b).unsqueeze(0), 3).numpy().reshape(2, -1)
    return w + 0.5 * P @ R, b


@pytest.mark.parametrize("tall", [False, True])
def test_cesgc_matches_a_run_put_together_by_hand(tall):
    """Five steps with refreshes at 0 and 3: P changes, A and the momentum do not."""
    flip = (lambda x: x.T) if tall else (lambda x: x)
    rule = CESGC(SGC(GradientDescent(0.1, momentum=0.9), sparsity=3, measurements=12), rank=2, update_gap=3, scale=0.5)
    w = normal((5, 8), generator(0))
    expected, b, A = w.numpy(), np.zeros(12), unit_columns(rule.draw(generator(2, 0), (5, 8))).numpy()
    w = flip(w)
    state = rule.init(w)
    for k in range(5):
        g = normal((5, 8), generator(1, k))
        delta, state = advance(rule, flip(g), state, w, k, rule.draw(generator(2, k), tuple(w.shape)) if due(rule, k) else None)
        w = w + delta
        if k % 3 == 0:
            u = np.linalg.svd(g.numpy())[0][:, :2]
            P = u * np.sign(u[np.abs(u).argmax(0), range(2)])
        expected, b = cesgc_by_hand(expected, g.numpy(), A, b, P=P)
    torch.testing.assert_close(flip(w), torch.from_numpy(expected), rtol=0, atol=1e-12)
    assert state.inner.A.shape == (12, 16)  # for 2 x 8 coefficients, not for 40 entries


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_reaches_the_weights_and_raises_nothing(bad):
    w, g = normal(SHAPE, generator(0)), normal(SHAPE, generator(1))
    g[1, 2] = bad
    for rule in (SGC(Adam(0.1), 4, 20), CESGC(SGC(Adam(0.1), 4, 12), rank=2)):
        assert not rule.step(g, started(rule, w, 2), w)[0].isfinite().all()


@pytest.mark.parametrize("rule", [SGC(Adam(0.1), 4, 20, chunks=2), CESGC(SGCAdam(0.1, 2, 8), rank=2)], ids=["sgc", "cesgc"])
def test_a_step_compiles_to_one_graph(rule):
    w, g = normal(SHAPE, generator(0)), normal(SHAPE, generator(1))
    state = started(rule, w, 2)
    compiled = torch.compile(rule.step, fullgraph=True, dynamic=False, backend="aot_eager")(g, state, w)
    for x, y in zip(tree_leaves(compiled), tree_leaves(rule.step(g, state, w)), strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SGC(Adam(0.1), 0, 30), "^sparsity of SGC must be an int >= 1, got 0"),
        (lambda: SGC(Adam(0.1), 4, 30, update_gap=0), "^update_gap of SGC must be an int >= 1, got 0"),
        (lambda: SGC(Adam(0.1), 8, 6), "sparsity <= measurements, got chunks 1, sparsity 8 and measurements 6; about 2 s log"),
        (lambda: SGCAdam(0.1, 8, 30, chunks=4), "^SGCAdam needs chunks that divides .* got chunks 4, sparsity 8 and measurements 30"),
        (lambda: SGCAdam(-0.1, 8, 30), "^lr of SGCAdam must be >= 0, got -0.1"),
        (lambda: SGC(Adam(0.1), 5, 30, chunks=5).init(torch.ones(6, 8)), r"got chunks 5, sparsity 5 and shape \(6, 8\) with 48 entries"),
        (lambda: SGCAdam(0.1, 50, 60).init(torch.ones(6, 8)), "got chunks 1, sparsity 50 and shape"),
        (lambda: SGC(GaLore(Adam(0.1), rank=2), 4, 30), "^SGC cannot hold GaLore"),
        (lambda: GaLore(SGC(Adam(0.1), 4, 30), rank=2), "^GaLore cannot hold SGC, which refreshes once: a tensor has one frame"),
        (lambda: CESGC(Adam(0.1), rank=2), "^the inner rule of CESGC must be an SGC or an SGCAdam with update_gap None"),
        (lambda: CESGC(SGC(Adam(0.1), 4, 30, update_gap=5), rank=2), "for A is drawn once, got SGC"),
        (lambda: CESGC(SGC(Adam(0.1), 4, 8), rank=7).init(torch.ones(6, 8)), r"rank 7 needs a 2-D weight with both sides >= rank"),
    ],
)
def test_bad_settings_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
