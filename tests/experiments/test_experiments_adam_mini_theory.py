"""The claims that touch the theorems of Adam-mini and of Hessian blocks: their checkers under planted faults, and other seeds.

Each measurement is also held against one that knows nothing of it: another way to the Hessian, a recursion, a count.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.func import grad

from sandbox.curvature.block_mass import block_mass
from sandbox.curvature.hessian import dense_hessian
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.base import Facts
from sandbox.verdict import Outcome

# --- Hessian blocks


def test_the_mass_is_that_of_the_curvature_room_and_the_top_an_eigenvalue(module):
    file = module["hessian_block_ratio"]
    problem = file.Classes(4, 3, start_scale=1.0, seed=7)
    H = dense_hessian(problem, problem.start(7), None).matrix
    found = file.mass_and_top(H, 4)
    assert found["mass"] == pytest.approx(block_mass(H, np.repeat(np.arange(4), 3)), rel=1e-12)
    inverse = np.linalg.inv(H * np.kron(np.eye(4), np.ones((3, 3))))
    assert found["top"] == pytest.approx(np.linalg.eigvals(inverse @ H).real.max(), rel=1e-9)


def test_blocks_of_another_size_are_noticed(claim, module, monkeypatch, rejudged):
    """Blocks of two classes hold more than 1 - 1/C at weights of 0."""
    file = module["hessian_block_ratio"]
    honest = file.mass_and_top
    monkeypatch.setattr(file, "mass_and_top", lambda H, rows: honest(H, rows // 2))
    one = claim["hessian.softmax-mass.attained"]
    assert rejudged(one, settings=(replace(one.plan.settings[2], classes=12),), seeds=(0,)) is not Outcome.ATTAINED


def test_a_loss_that_is_not_cross_entropy_is_noticed(claim, module, rejudged):
    file = module["hessian_block_ratio"]
    squared = (file.Layer(5, "random", loss_law="squared"),)
    for name in ("hessian.softmax-mass", "hessian.block-newton.lower"):
        assert rejudged(claim[name], settings=squared, seeds=(0,)) is Outcome.VIOLATED
        assert claim[name].scope(squared[0]) and not claim[name].scope(file.Layer(5, "random"))


def test_what_is_left_after_training_lies_between_two_classes(module):
    file = module["hessian_block_ratio"]
    assert file.layer(file.Layer(8, "trained", inputs=8, steps=100), 3)["mass"] < 0.65
    assert file.layer(file.Layer(8, "zero", inputs=8), 3)["mass"] == pytest.approx(7 / 8, rel=1e-12)


def test_hidden_blocks_are_those_of_the_curvature_room(module):
    file = module["hessian_hidden_block_ratio"]
    for setting in (file.Hidden(50, 3, 7), file.Hidden(50, 3, 7, outputs=4, loss_law="cross entropy")):
        x, V = file.normal((7, 3), file.generator(5, 0)), file.outgoing(setting, 5)

        class One:
            facts = Facts()

            def loss(self, params, batch, setting=setting, x=x, V=V):
                return file.loss(setting, params["W"], x, V)

        H = dense_hessian(One(), {"W": file.rows(setting)}, None).matrix.reshape(2, 3, 2, 3)
        squares = (H**2).sum((1, 3))
        row = file.neurons(setting, (5,))[0]
        assert row["off"] == pytest.approx(squares[0, 1], rel=1e-9)
        assert row["on"] == pytest.approx((squares[0, 0] + squares[1, 1]) / 2, rel=1e-9)


@pytest.mark.parametrize("fault", ["angle", "cosine"])
def test_another_angle_or_cosine_is_noticed(claim, module, monkeypatch, fault, rejudged):
    file, one = module["hessian_hidden_block_ratio"], claim["hessian.relu-ratio"]
    honest = file.neurons
    other = {"angle": lambda s: replace(s, angle=s.angle - 25), "cosine": lambda s: replace(s, cosine=0.7)}[fault]
    setting, seeds = one.plan.settings[0], tuple(range(1500))
    assert rejudged(one, settings=(setting,), seeds=seeds) is Outcome.HOLDS
    faulty = replace(one, measure=lambda s, seeds: honest(other(s), seeds))
    assert rejudged(faulty, settings=(setting,), seeds=seeds) is Outcome.VIOLATED


# --- single steps


def test_a_second_moment_per_entry_turns(claim, module, monkeypatch, rejudged):
    file, one = module["adam_mini_turned_steps"], claim["adam-mini.turned-step"]
    monkeypatch.setattr(file, "AdamMini", lambda lr, n_blocks, **fields: AdamMini(lr, n_blocks=64, **fields))
    assert rejudged(one, settings=(file.Turn(64, "adam-mini"),), seeds=(0, 1)) is Outcome.VIOLATED
    assert one.scope(file.Turn(8, "adam-mini", n_blocks=2)) and not one.scope(file.Turn(8, "adam-mini"))


def test_a_rotation_that_is_not_turned_back_is_noticed(claim, module, monkeypatch, rejudged):
    file = module["adam_mini_turned_steps"]
    honest = file.rotation
    asked = []

    def faulty(setting, seed):
        asked.append(seed)
        return honest(setting, seed + 1000 * (len(asked) % 2))  # another one for turning back

    monkeypatch.setattr(file, "rotation", faulty)
    assert rejudged(claim["adam-mini.turned-step"], settings=(file.Turn(64, "adam-mini"),), seeds=(0,)) is Outcome.VIOLATED


def test_the_turned_problem_has_the_turned_gradient(module):
    file = module["adam_mini_turned_steps"]
    setting = file.Turn(5)
    for which in ("no", "yes"):
        problem = file.Slope(setting, which)
        g = grad(lambda x: problem.loss({"x": x}, problem.batch(3, 0)))(torch.zeros(5, dtype=torch.float64))  # noqa: B023
        R = file.rotation(setting, 3) if which == "yes" else torch.eye(5, dtype=torch.float64)
        torch.testing.assert_close(g, R @ file.gradient(setting, 3), rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("fault", ["too long", "too short", "one block"])
def test_other_steps_than_the_normalised_one_do_not_attain_the_bound(claim, module, monkeypatch, fault, rejudged):
    file, one = module["adam_mini_descent"], claim["adam-mini.descent.attained"]
    change = {"too long": {"lr": 1.01}, "too short": {"lr": 0.99}, "one block": {"n_blocks": 1}}[fault]

    def faulty(lr, n_blocks, **fields):
        return AdamMini(lr * change.get("lr", 1.0), n_blocks=change.get("n_blocks", n_blocks), **fields)

    monkeypatch.setattr(file, "AdamMini", faulty)
    assert rejudged(one, settings=one.plan.settings[1:2], seeds=(0, 1)) is not Outcome.ATTAINED


def test_the_size_and_the_gap_of_a_descent_case(module):
    """L_b is the largest curvature of the block, and every seed starts at most at the gap."""
    file = module["adam_mini_descent"]
    case = file.Case(file.Setting("ill-conditioned", 20, 0.05))
    H = case.problem.whole.hessian_dd.numpy()
    tops = [np.linalg.eigvalsh(H[i : i + 5, i : i + 5])[-1] for i in (0, 5)]
    assert case.size == pytest.approx(5 * sum(tops), rel=1e-9)
    losses = [float(case.problem.loss(case.problem.start(seed), None)) for seed in file.SEEDS]
    assert case.gap == max(losses)


def test_the_scope_of_descent_is_betas_of_zero(claim, module):
    file, one = module["adam_mini_descent"], claim["adam-mini.descent"]
    assert "betas (0, 0)" in one.scope(file.USUAL) and one.scope(replace(file.USUAL, betas=(0.0, 0.0))) is None


# --- conditioning


def test_thawed_second_moments_are_noticed(claim, module, monkeypatch, rejudged):
    file, one = module["adam_mini_preconditioners"], claim["adam.frozen.start-decides"]
    monkeypatch.setattr(file, "frozen_step", lambda inner, g, state, w: inner.step(g, state, w)[0])
    monkeypatch.setattr(file, "Adam", lambda lr, betas, eps: Adam(lr, (0.0, 0.5), eps))
    assert rejudged(one, settings=one.plan.settings[:1], seeds=(0, 1)) is Outcome.VIOLATED


def test_the_frozen_rule_is_the_gradient_over_the_first_one(module):
    file = module["adam_mini_preconditioners"]
    problem = file.Spread(file.Start(10.0, 4.0))
    rule = file.FrozenAtTheStart(Adam(0.3, (0.0, 0.999), eps=0.0), problem)
    x = problem.start(2)["x"]
    state, g = rule.init(x), torch.arange(1.0, 7.0, dtype=torch.float64)
    first = problem.whole.hessian_dd @ x
    for _ in range(2):  # and it does not move on
        delta, state = rule.step(g, state, x)
        torch.testing.assert_close(delta, -0.3 * g / first.abs(), rtol=1e-12, atol=0.0)


def test_the_bipartite_block_has_the_condition_it_says_and_its_eigenvectors_match(module):
    file = module["adam_mini_preconditioners"]
    for seed in range(3):
        H = file.hessian(file.Scaled("bipartite", 19.0), seed)
        assert np.linalg.cond(H) == pytest.approx(19.0, rel=1e-9) and np.diag(H) == pytest.approx(1.0)
    assert file.mismatch(file.Scaled("bipartite"))["mismatch"] < 1e-9 < file.mismatch(file.TRIANGLE)["mismatch"]


def test_a_scalar_is_what_attains_it(claim, module, monkeypatch, rejudged):
    file, one = module["adam_mini_preconditioners"], claim["adam-mini.preconditioner.bipartite"]
    monkeypatch.setattr(file, "AdamMini", Adam)
    assert rejudged(one, seeds=(0, 1)) is Outcome.HOLDS


# --- noise, price, bits


def test_noise_of_another_size_is_noticed(claim, module, monkeypatch, rejudged):
    file, one = module["adam_mini_noise_floor"], claim["adam-mini.noise-floor.attained"]
    short = (replace(one.plan.settings[1], steps=100),)
    seeds = tuple(range(256))
    assert rejudged(replace(one, tau=0.06), settings=short, seeds=seeds) is Outcome.ATTAINED
    monkeypatch.setattr(file, "GradientDescent", lambda lr: GradientDescent(1.2 * lr))
    assert rejudged(replace(one, tau=0.06), settings=short, seeds=seeds) is Outcome.VIOLATED


def test_a_second_moment_per_entry_has_no_price(claim, module, monkeypatch, rejudged):
    file = module["adam_mini_price_of_the_mean"]
    monkeypatch.setattr(file, "AdamMini", Adam)
    for name in ("adam-mini.price.attained", "adam-mini.cosine.attained"):
        assert rejudged(claim[name], seeds=(0,)) is Outcome.HOLDS  # price 1 and cosine 1, and not the extremes


def test_the_drawn_first_moment_is_the_one_that_steps(module):
    """Second moments are those of the gradient, first moments drawn: steps m / s and m / q, up to one factor."""
    file = module["adam_mini_price_of_the_mean"]
    setting = file.Magnitudes(6, 5.0, moment="drawn")
    m, adam, mini = file.updates(setting, 4)
    s = file.magnitudes(setting, 4)
    ratio = adam * s / m
    torch.testing.assert_close(ratio, ratio[0].expand(6), rtol=1e-9, atol=0.0)
    torch.testing.assert_close(mini / m, (mini / m)[0].expand(6), rtol=1e-9, atol=0.0)
    assert float(ratio[0] / (mini / m)[0]) == pytest.approx(float(s.square().mean().sqrt()), rel=1e-9)


def test_a_state_in_float32_moves(claim, module, monkeypatch, rejudged):
    file = module["adam_mini_low_precision"]
    honest = file.binade
    monkeypatch.setattr(file, "binade", lambda setting: honest(setting).float())
    for name in ("adam-mini.bits.frozen", "adam-mini.bits.freezing", "adam-mini.bits.decaying"):
        assert rejudged(claim[name]) is Outcome.VIOLATED


def test_a_binade_holds_every_number_of_the_format(module):
    file = module["adam_mini_low_precision"]
    for dtype, count in (("bfloat16", 128), ("float16", 1024)):
        v = file.binade(file.Format(dtype))
        assert len(v.unique()) == count and float(v[0]) == 1.0 and float(v[-1]) == 2 - 1 / count


RESEEDED = {
    "hessian.softmax-mass.attained": (60,),
    "hessian.softmax-mass.two": (60,),
    "hessian.softmax-mass.squared": (60,),
    "hessian.growth": (60, 61, 62),
    "hessian.relu-ratio.attained": (60,),
    "adam.turned-step.mean": tuple(range(5000, 6024)),
    "adam.turned-step.lower": tuple(range(5000, 5100)),
    "adam-mini.turned-step.two-blocks": (60, 61),
    "adam.frozen.start-decides.dense": (60, 61),
    "adam.preconditioner.lower": (60, 61),
    "adam.preconditioner.upper": (60, 61),
    "adam-mini.preconditioner.bipartite": (60, 61),
    "adam-mini.price": (60, 61),
    "adam-mini.cosine": (60, 61),
}


@pytest.mark.parametrize("name", RESEEDED)
def test_other_seeds_give_the_same_verdict(claim, name, rejudged):
    assert rejudged(claim[name], seeds=RESEEDED[name]) is claim[name].expected
