"""The claims on AdaLomo's theorems under planted faults: another rule must turn the verdict, other seeds must not."""

from dataclasses import replace

import pytest
import torch

from sandbox.optimizers.adalomo import AdaLomo
from sandbox.verdict import Outcome

ELSEWHERE = tuple(range(7000, 7012))


def with_fields_of(**fault):
    """AdaLomo whose fields are overridden by the fault, whatever the experiment asks for."""
    return lambda lr, **fields: AdaLomo(lr, **fields | fault)


class Entrywise:
    """AdaLomo with the full second moment: each matrix is handed to the rule as one long vector."""

    def __init__(self, lr: float, **fields):
        self.inner = AdaLomo(lr, **fields)

    def init(self, w):
        return self.inner.init(w.flatten())

    def step(self, g, state, w):
        delta, state = self.inner.step(g.flatten(), state, w.flatten())
        return delta.view(w.shape), state


FAULTS = (  # file, claim, fault, what it must give
    ("adalomo_contraction", "adalomo.contraction.attained", with_fields_of(eps=(1e-30, 2.0)), Outcome.VIOLATED),
    ("adalomo_contraction", "adalomo.aligned-factor.attained", with_fields_of(decay_rate=-0.5), Outcome.VIOLATED),
    ("adalomo_contraction", "adalomo.curvature-free", with_fields_of(eps=(1e-2, 1e-3)), Outcome.VIOLATED),
    ("adalomo_contraction", "adalomo.curvature-free.matrix", Entrywise, Outcome.HOLDS),
    ("adalomo_crossover", "adalomo.crossover.above", lambda lr, **fields: AdaLomo(lr / 1.2, **fields), Outcome.VIOLATED),
    ("adalomo_crossover", "adalomo.crossover.below", lambda lr, **fields: AdaLomo(lr * 1.2, **fields), Outcome.HOLDS),
    ("adalomo_crossover", "adalomo.rotated-stall", with_fields_of(decay_rate=-0.3), Outcome.VIOLATED),
    ("adalomo_growth", "adalomo.growth.attained", with_fields_of(eps=(1e-30, 2.0)), Outcome.VIOLATED),
    ("adalomo_growth", "adalomo.growth.attained", with_fields_of(clip_threshold=0.9), Outcome.HOLDS),
    ("adalomo_growth", "adalomo.zero-start", with_fields_of(eps=(1e-30, 2e-3)), Outcome.VIOLATED),
    ("adalomo_growth", "adalomo.decay-ceiling", with_fields_of(weight_decay=0.4), Outcome.VIOLATED),
    ("adalomo_growth", "adalomo.decay-ceiling.attained", with_fields_of(weight_decay=0.4), Outcome.VIOLATED),
    ("adalomo_growth", "adalomo.decay-overshoot", with_fields_of(clip_threshold=0.9), Outcome.HOLDS),
    ("adalomo_step", "adalomo.step-entry.attained", with_fields_of(clip_threshold=0.9), Outcome.HOLDS),
    ("adalomo_step", "adalomo.step-entry.attained", with_fields_of(eps=(1e-30, 2.0)), Outcome.VIOLATED),
    ("adalomo_step", "adalomo.step-entry.weight-decay", with_fields_of(weight_decay=0.0), Outcome.ATTAINED),
    ("adalomo_step", "adalomo.vector-entry.attained", with_fields_of(decay_rate=-1.0), Outcome.VIOLATED),
    ("factored_schedule", "adalomo.averages.least.attained", with_fields_of(decay_rate=-0.9), Outcome.VIOLATED),
    ("factored_schedule", "adalomo.averages.most.attained", with_fields_of(decay_rate=-0.1), Outcome.VIOLATED),
    ("factored_schedule", "adalomo.averages.beyond.first", with_fields_of(decay_rate=-1.9), Outcome.VIOLATED),
    ("factored_schedule", "adalomo.averages.sum", with_fields_of(eps=(0.1, 1e-3)), Outcome.VIOLATED),
    ("factored_later_steps", "adalomo.first-rms.second", with_fields_of(decay_rate=0.0), Outcome.HOLDS),
    ("factored_later_steps", "adalomo.first-rms.second.law", with_fields_of(decay_rate=-0.7), Outcome.VIOLATED),
    ("factored_later_steps", "adalomo.first-rms.regression", with_fields_of(clip_threshold=0.5), Outcome.VIOLATED),
    ("factored_later_steps", "adalomo.first-scale.attained", with_fields_of(eps=(1e-7, 1e-3)), Outcome.VIOLATED),
    ("factored_entry_error", "adalomo.factored-entry.silent", with_fields_of(eps=(0.0, 1e-3)), Outcome.VIOLATED),
    ("factored_freeze", "adalomo.factored-angle.attained", Entrywise, Outcome.HOLDS),
    ("factored_freeze", "adalomo.first-rms", with_fields_of(clip_threshold=0.5), Outcome.VIOLATED),
    ("factored_freeze", "adalomo.freeze", Entrywise, Outcome.VIOLATED),
    ("factored_freeze", "adalomo.freeze.attained", with_fields_of(clip_threshold=0.9), Outcome.HOLDS),
    ("adalomo_descent", "adalomo.descent.attained", with_fields_of(clip_threshold=0.9), Outcome.VIOLATED),
    ("adalomo_descent", "adalomo.noise-floor.memoryless", with_fields_of(decay_rate=-1.0), Outcome.HOLDS),
    ("adalomo_descent", "adalomo.noise-floor.cycle", with_fields_of(clip_threshold=0.9), Outcome.VIOLATED),
)


@pytest.mark.parametrize(("file", "name", "fault", "outcome"), FAULTS, ids=lambda x: x if isinstance(x, str) else None)
def test_another_rule_turns_the_verdict(claim, module, monkeypatch, rejudged, file, name, fault, outcome):
    assert claim[name].expected is not outcome
    monkeypatch.setattr(module[file], "AdaLomo", fault)
    assert rejudged(claim[name]) is outcome


@pytest.mark.parametrize("name", ["adalomo.factored-entry.attained", "adalomo.factored-diagonal.attained"])
def test_another_matrix_of_rank_one_is_noticed(claim, module, monkeypatch, rejudged, name):
    honest = module["factored_entry_error"].factored

    def tilted(g):
        V1 = honest(g)
        tilt = 1 + 0.1 * torch.arange(len(V1), dtype=V1.dtype)[:, None]
        return V1 * tilt / tilt.mean()

    monkeypatch.setattr(module["factored_entry_error"], "factored", tilted)
    assert rejudged(claim[name]) is Outcome.VIOLATED


def test_the_largest_minor_is_that_of_a_loop(module):
    file = module["factored_entry_error"]
    setting = file.Moment("gaussian", (3, 4), 5)
    V = (file.gradient(setting) ** 2).tolist()
    pairs = [(i, k, j, l) for i in range(3) for k in range(3) for j in range(4) for l in range(4)]  # noqa: E741
    wanted = max(abs(V[i][j] * V[k][l] - V[i][l] * V[k][j]) for i, k, j, l in pairs)  # noqa: E741
    assert file.minor_and_total(setting)["minor"] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(("name", "beta1", "outcome"), [("angle", 0.9, Outcome.VIOLATED), ("angle.momentum", 0.0, Outcome.HOLDS)])
def test_momentum_is_what_breaks_the_angle(claim, module, monkeypatch, rejudged, name, beta1, outcome):
    file, honest = module["factored_later_steps"], module["factored_later_steps"].Adafactor
    monkeypatch.setattr(file, "Adafactor", lambda lr, **fields: honest(lr, **fields | {"beta1": beta1}))
    assert rejudged(claim[f"adafactor.{name}"], settings=(file.Walk("turned", 0.5),)) is outcome


@pytest.mark.parametrize("name", ["adalomo.noise-floor", "adalomo.noise-floor.noise-alone"])
def test_another_noise_turns_the_floor(claim, rejudged, name):
    one, setting = claim[name], claim[name].plan.settings[0]
    louder = replace(one, measure=lambda s, seeds: one.measure(replace(s, sigma=1.1 * s.sigma), seeds))
    assert rejudged(louder, settings=(setting,)) is Outcome.VIOLATED


def test_another_number_of_averages_turns_the_law_of_a_size(claim, rejudged):
    one = claim["adalomo.factored-noise.size.larger"]
    wrong = replace(one, measure=lambda s, seeds: one.measure(replace(s, N=s.N + 1), seeds))
    assert rejudged(wrong, seeds=ELSEWHERE * 1) is Outcome.VIOLATED


@pytest.mark.parametrize(
    "name",
    [
        "adalomo.vector-entry",
        "adafactor.angle.momentum",
        "adalomo.contraction.attained",
        "adalomo.aligned-factor",
        "adalomo.curvature-free",
        "adalomo.factored-angle",
        "adalomo.noise-floor",
    ],
)
def test_other_seeds_do_not(claim, rejudged, name):
    assert rejudged(claim[name], seeds=ELSEWHERE) is claim[name].expected


def test_the_crossovers_are_finished_before_the_steps_end(claim, module):
    file = module["adalomo_crossover"]
    for name in ("below", "above", "paper-rate"):
        for setting in claim[f"adalomo.crossover.{name}"].plan.settings:
            counts = file.steps_needed(setting, 0)
            assert max(counts["adalomo"], counts["lomo"]) < setting.most


def test_the_threshold_of_a_rotated_setting_is_its_share_of_the_bound(module):
    file = module["adalomo_crossover"]
    assert file.threshold(file.Rotated(2.0, 1.2)) == pytest.approx(2 * (4 / 1.44 - 1) ** 0.5, rel=1e-12)
