"""The AdaLomo claims as records, and their checkers under planted faults.

Nothing here is a number of a run. A fault that people make (a clip at another threshold, a second moment that is not
factored, rates that only one side may choose) must turn the verdict, and other seeds must not.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import rel_entr

from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.verdict import Outcome

# --- AdaLomo's step


@pytest.mark.parametrize("fault", [{"clip_threshold": 1.01}, {"eps": (1e-30, 2e-3)}], ids=["clip", "eps2"])
def test_a_looser_normalisation_violates_the_step_bound(claim, module, monkeypatch, fault, rejudged):
    monkeypatch.setattr(module["adalomo_step"], "AdaLomo", lambda lr: AdaLomo(lr, **fault))
    assert rejudged(claim["adalomo.step-bound"], seeds=(0,)) is Outcome.VIOLATED


def test_a_tighter_normalisation_holds_without_attaining(claim, module, monkeypatch, rejudged):
    monkeypatch.setattr(module["adalomo_step"], "AdaLomo", lambda lr: AdaLomo(lr, clip_threshold=0.9))
    assert rejudged(claim["adalomo.step-bound"], seeds=(0,)) is Outcome.HOLDS


class Entrywise:
    """AdaLomo with the full second moment: each matrix is handed to the rule as one long vector."""

    def __init__(self, lr: float):
        self.inner, self.lr = AdaLomo(lr), lr

    def init(self, w):
        return self.inner.init(w.flatten())

    def step(self, g, state, w):
        delta, state = self.inner.step(g.flatten(), state, w.flatten())
        return delta.view(w.shape), state


def test_without_the_factorisation_steps_are_not_inverse(claim, module, monkeypatch, rejudged):
    monkeypatch.setattr(module["adalomo_step"], "AdaLomo", Entrywise)
    assert rejudged(claim["adalomo.inverse-steps"]) is Outcome.VIOLATED


# --- the factorisation


def test_the_information_is_that_of_the_textbook_sum(module):
    """I = sum P log(P / (p q)), by scipy's relative entropy, against a difference of entropies."""
    file = module["adalomo_factorisation"]
    for setting in file.MOMENTS:
        V = file.second_moment(setting).numpy()
        P = V / V.sum()
        direct = rel_entr(P, P.sum(1, keepdims=True) * P.sum(0, keepdims=True)).sum()
        np.testing.assert_allclose(file.total_and_information(setting)["information"], direct, rtol=1e-11)


def test_every_row_and_column_of_a_moment_has_an_entry(module):
    for setting in module["adalomo_factorisation"].MOMENTS:
        V = module["adalomo_factorisation"].second_moment(setting)
        assert (V.sum(0) > 0).all() and (V.sum(1) > 0).all()


def test_a_factorisation_that_is_not_the_best_is_noticed(claim, module, monkeypatch, rejudged):
    honest = module["adalomo_factorisation"].factored

    def squashed(steps: Iterator[torch.Tensor]) -> torch.Tensor:
        V1 = honest(steps)
        tilt = 1 + 0.1 * torch.arange(len(V1), dtype=V1.dtype)[:, None]
        return V1 * tilt / tilt.mean()  # still of rank one

    monkeypatch.setattr(module["adalomo_factorisation"], "factored", squashed)
    assert rejudged(claim["adalomo.factored-error"]) is Outcome.VIOLATED


def test_the_noise_formula_tells_neighbouring_counts_apart(claim, module, rejudged):
    """Measured with N + 1 averages, judged at N."""
    one = claim["adalomo.factored-noise"]
    setting = one.plan.settings[-1]
    wrong = replace(one, measure=lambda s, seeds: one.measure(replace(s, N=s.N + 1), seeds))
    assert rejudged(wrong, settings=(setting,)) is Outcome.VIOLATED


def test_the_published_decay_is_not_the_plain_mean(claim, module, monkeypatch, rejudged):
    faulty = lambda **fields: AdaLomo(**fields | {"decay_rate": -0.5})  # noqa: E731
    monkeypatch.setattr(module["adalomo_factorisation"], "AdaLomo", faulty)
    assert rejudged(claim["adalomo.factored-denoises"]) is Outcome.VIOLATED


# --- other names, other methods


@pytest.mark.parametrize("fault", [{"decay_rate": -0.79}, {"clip_threshold": 1.01}], ids=["decay", "clip"])
def test_another_rule_is_not_adafactor(claim, module, monkeypatch, fault, rejudged):
    from sandbox.shells.stepwise import Stepwise

    faulty = lambda w, lr: Stepwise([("w", w)], AdaLomo(lr, **fault))  # noqa: E731
    monkeypatch.setitem(module["adalomo_is_adafactor"].OPTIMIZERS, "adalomo", faulty)
    assert rejudged(claim["adalomo.is-adafactor"], seeds=(0,)) is Outcome.VIOLATED


def test_adam_with_a_large_eps_feels_the_scale(claim, module, monkeypatch, rejudged):
    from sandbox.shells.stepwise import Stepwise

    monkeypatch.setitem(module["adalomo_is_adafactor"].OPTIMIZERS, "adalomo", lambda w, lr: Stepwise([("w", w)], Adam(lr, eps=1e-3)))
    assert rejudged(claim["adalomo.scale-invariance"], seeds=(0,)) is Outcome.VIOLATED


def test_with_the_full_second_moment_the_counter_example_is_none(claim, module, monkeypatch, rejudged):
    """The factorisation is what stands still: the same normalised rule on entries passes LOMO's 1e-6 curvature."""
    monkeypatch.setattr(module["adalomo_against_lomo"], "AdaLomo", Entrywise)
    monkeypatch.setattr(module["adalomo_against_lomo"], "run", in_plain_python)
    one = claim["adalomo.superior-convergence"]
    assert rejudged(one, settings=one.plan.settings[:1]) is Outcome.HOLDS


def in_plain_python(problem, rule, *, steps, seed, schedule=None):
    """A loop of our own: the gradient of the diagonal target by hand, no shell and no autograd."""
    h, W = torch.tensor(problem.curvatures, dtype=torch.float64), problem.start(seed)["W"]
    state, losses, lr = rule.init(W), [], rule.lr
    for k in range(steps):
        gap = W.diagonal() - 1
        losses.append(float(0.5 * (h * gap.square()).sum()))
        delta, state = rule.step((h * gap).diag(), state, W)
        W = W + delta * (schedule(k) if schedule else 1.0)  # both rules are linear in lr
    return type("Run", (), {"loss": np.array(losses), "lr": lr})


def test_the_plain_loop_agrees_with_the_shell(module):
    file = module["adalomo_against_lomo"]
    problem, linear = file.DiagonalTarget((0.01, 1.0, 1.0, 1.0)), lambda k: 1 - k / 50
    for rule in (AdaLomo(0.03), GradientDescent(1.0)):
        ours = file.run(problem, rule, steps=50, seed=0, schedule=linear).loss
        mine = in_plain_python(problem, rule, steps=50, seed=0, schedule=linear).loss
        np.testing.assert_allclose(ours, mine, rtol=1e-9)  # rounding of 50 steps


@pytest.mark.parametrize(("factors", "method"), [({"adalomo": (0.02,)}, "adalomo"), ({"lomo": (0.1,)}, "lomo")])
def test_a_side_that_may_not_choose_its_rate_falls_less(claim, factors, method):
    one = claim["adalomo.superior-convergence.ill-conditioned"]
    setting = one.plan.settings[0]
    free, bound = (one.measure(s, (40, 41))[0] for s in (setting, replace(setting, **factors)))
    assert bound[f"{method}_loss"] > free[f"{method}_loss"] + 0.5  # decades
    assert bound[f"{method}_loss_rate"] != free[f"{method}_loss_rate"]


def test_the_rate_is_chosen_on_the_tuning_starts_alone(claim, module):
    """The judged seeds do not enter the choice, and the best rate is what a search over the grid by hand finds."""
    file, one = module["adalomo_against_lomo"], claim["adalomo.superior-convergence.well-conditioned"]
    assert not set(file.TUNING) & set(one.plan.seeds)
    setting = one.plan.settings[0]
    curvatures, best = np.geomspace(1, setting.condition, setting.d), {}
    for factor in setting.lomo:  # gradient descent in closed form
        x = np.stack([file.Quadratic(tuple(curvatures), basis="axes").start(seed)["x"].numpy() for seed in file.TUNING])
        y = x * (1 - factor / setting.condition * curvatures) ** setting.steps
        best[factor / setting.condition] = np.log10((curvatures * y**2).sum(1) / (curvatures * x**2).sum(1)).mean()
    for seeds in ((40,), (41, 42)):
        assert one.measure(setting, seeds)[0]["lomo_loss_rate"] == pytest.approx(min(best, key=best.get), rel=1e-12)


def test_judged_starts_that_prefer_another_rate_do_not_get_it(module, monkeypatch):
    """A made-up table: the first rate is best on the tuning starts, the last on the judged ones."""
    file = module["adalomo_against_lomo"]

    def made_up(setting, rule, rates, seeds):
        table = torch.arange(len(rates)).double()[:, None].repeat(1, len(seeds))
        table[:, len(file.TUNING) :] *= -1
        return {"loss": table, "distance": table}

    monkeypatch.setattr(file, "falls", made_up)
    setting = file.Aligned(10.0)
    row = file.descents(setting, (40,))[0]
    assert row["adalomo_loss_rate"] == setting.adalomo[0] and row["lomo_distance_rate"] == setting.lomo[0] / 10


def test_no_best_rate_lies_at_the_lower_end_and_vector_ones_at_no_end_of_adalomo(claim):
    """A best rate at the end of a grid would say that the grid was too short; LOMO's upper end is its edge of stability."""
    for name in ("well-conditioned", "ill-conditioned"):
        for setting in claim[f"adalomo.superior-convergence.{name}"].plan.settings:
            values = claim[f"adalomo.superior-convergence.{name}"].measure(setting, (40,))[0]
            assert setting.adalomo[0] < values["adalomo_loss_rate"] < setting.adalomo[-1]
            assert values["lomo_loss_rate"] > setting.lomo[0] / setting.condition


@pytest.mark.parametrize("method", ["variance", "heavy ball"])
def test_the_stacked_starts_and_methods_do_not_see_each_other(module, method):
    """One tensor for all starts and methods, against single starts one by one: the same share."""
    file = module["adalomo_second_moment_or_momentum"]
    problem, ends = file.TwoMinima(), []
    for xy in file.grid(problem, 3)["xy"]:
        rule, state = file.rule_of(method, 3e-2), None
        for _ in range(file.LEAST_STEPS):
            leaf = xy.clone().requires_grad_()
            (g,) = torch.autograd.grad(problem.loss({"xy": leaf}, None), leaf)
            delta, state = rule.step(g, rule.init(xy) if state is None else state, xy)
            xy = xy + delta
        ends.append(xy)
    reached = float(file.reached_global(torch.stack(ends)).double().mean())
    assert file.shares(file.Setting(3e-2, points=3))[method] == reached and 0 < reached < 1


def test_the_basins_tell_methods_apart(module):
    """With few starts: the same method twice differs by 0, gradient flow of tiny steps stays in its own well."""
    file = module["adalomo_second_moment_or_momentum"]
    twice = file.shares(file.Setting(3e-2, ("variance", "variance"), points=5))
    assert twice == file.shares(file.Setting(3e-2, ("variance",), points=5))
    values = file.measure(file.Setting(3e-2, points=11), 0)
    assert values["heavy ball"] > values["running average"]  # undamped momentum leaves the local well from some starts


def test_the_running_average_is_adam_without_a_second_moment(module):
    """m <- 0.9 m + 0.1 g and w <- w - lr m, by hand, against heavy ball with lr / 10."""
    rule = module["adalomo_second_moment_or_momentum"].rule_of("running average", 0.2)
    w, m = torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    state, ours = rule.init(w), w
    for k in range(5):
        g = torch.full((3,), float(k + 1), dtype=torch.float64)
        m = 0.9 * m + 0.1 * g
        w = w - 0.2 * m
        delta, state = rule.step(g, state, ours)
        ours = ours + delta
    torch.testing.assert_close(ours, w, rtol=1e-13, atol=0.0)  # five steps of rounding


def test_variance_divides_by_a_long_memory(module):
    """Gradients 1 and then 2: the mean square is close to (1 + 4) / 2, so the second step is lr 2 / sqrt(2.5)."""
    rule = module["adalomo_second_moment_or_momentum"].rule_of("variance", 0.2)
    w = torch.ones(1, dtype=torch.float64)
    _, state = rule.step(w, rule.init(w), w)
    delta, _ = rule.step(2 * w, state, w)
    assert float(delta) == pytest.approx(-0.2 * 2 / 2.5**0.5, rel=1e-3)  # 1 - b2 = 1e-3 tilts the two weights


def test_the_divergence_counts_a_total_that_is_off(module):
    """D(V || 2 V) = S (1 - log 2): the two linear terms do not cancel."""
    V = torch.rand(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    wanted = float(V.sum()) * (1 - np.log(2))
    assert module["adalomo_factorisation"].divergence(V, 2 * V) == pytest.approx(wanted, rel=1e-12)


def test_the_limit_takes_the_smaller_entropy(module, monkeypatch):
    """Nearly one row of three equal columns: the entropy of the row is near 0, that of the column log 3."""
    file = module["adalomo_factorisation"]
    V = torch.tensor([[1.0, 1.0, 1.0], [1e-6, 1e-6, 1e-6]], dtype=torch.float64)
    monkeypatch.setattr(file, "second_moment", lambda setting: V)
    _, rows, columns, _ = file.entropies(file.MOMENTS[0])
    assert columns == pytest.approx(np.log(3)) and rows < 1e-4
    assert file.total_and_entropy(file.MOMENTS[0])["entropy"] == rows


CHEAP = (
    "adalomo.inverse-steps",
    "adalomo.inverse-steps.largest",
    "adalomo.factored-error",
    "adalomo.factored-error-limit",
)


@pytest.mark.parametrize("name", CHEAP)
def test_what_needs_no_other_seeds_gives_its_own_verdict(claim, name, rejudged):
    assert rejudged(claim[name]) is claim[name].expected


RESEEDED = {
    "adalomo.step-bound": (11, 12),
    "adalomo.factored-noise": tuple(range(20, 26)),
    "adalomo.factored-denoises": tuple(range(200, 300)),
    "adalomo.is-adafactor": (11,),
    "adalomo.scale-invariance": (11,),
    "adafactor.scale-invariance.torch-default": (11,),
    "adalomo.superior-convergence.well-conditioned": tuple(range(40, 60)),
    "adalomo.superior-convergence.ill-conditioned": tuple(range(40, 60)),
    "adalomo.superior-convergence.distance": tuple(range(40, 60)),
    "adalomo.superior-convergence.rate-0.02": tuple(range(40, 60)),
}


@pytest.mark.parametrize("name", RESEEDED)
def test_other_seeds_give_the_same_verdict(claim, name, rejudged):
    assert rejudged(claim[name], seeds=RESEEDED[name]) is claim[name].expected
