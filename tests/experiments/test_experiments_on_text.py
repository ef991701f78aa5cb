"""The measures of the claims on a text against cases that are known: white noise, negative curvature, one step."""

from dataclasses import replace

import pytest
import torch
from torch.func import grad

from sandbox.draws import generator, normal
from sandbox.oracles.conservative import Conservative
from sandbox.theory import wavelet, zeroth_order_steps
from sandbox.verdict import Outcome


class Hill:
    """f = -|W|^2 / 2: in every subspace of P^T P = 4 I the subproblem has the curvature 1 / eta - 4, which is what is certified."""

    def loss(self, params, batch):
        return -sum(w.square().sum() for w in params.values()) / 2


def test_a_certificate_is_exact_where_the_curvature_is_the_most_negative(module):
    file = module["rso_on_text"]
    W = {"W": normal((3, 8), generator(5, 0))}
    sub = file.Subproblem(Hill(), W, 0.5 / file.SHARE, lambda i: generator(5, 1, i), side=1)
    row, moved = file.one_round(file.Setting(2, s=1.0, w=1.0), sub, float(file.SHARE))
    slope = grad(sub.h)(sub.zero)
    best = {"W": -slope["W"] / (1 / sub.eta - file.SHARE)}
    last = sub.stepped(sub.eta / 1.5, 2)[-1]
    assert grad(sub.F)(best)["W"].abs().max() < 1e-12
    assert row["eps"] == pytest.approx(float(sub.F(last) - sub.F(best)), rel=1e-9)
    assert row["needed"] == pytest.approx(1.0, rel=1e-9)
    assert row["fall"] == pytest.approx(float(Hill().loss(W, None) - Hill().loss(moved, None)), rel=1e-12)
    assert row["s"] == pytest.approx(float(grad(sub.F)(last)["W"].norm() / slope["W"].norm()), rel=1e-12)


def test_on_white_noise_the_sizes_are_those_of_the_law(module, monkeypatch):
    """To 10 %: v is an average over 60 steps and each size over 20 correlated steps of 2048 entries."""
    file = module["gwt_scale_on_text"]
    steps = tuple({"a": normal((32, 64), generator(9, k))} for k in range(file.STEPS))
    monkeypatch.setattr(file, "gradients", lambda seed: steps)
    row = file.sizes(file.Sizes(2), 0)
    restored = wavelet.restoring_scale.at(level=2, b1=0.9)
    assert row["least"] == row["most"] == pytest.approx(1.0, rel=0.1)
    assert row["least of adam"] == row["most of adam"] == pytest.approx(0.25 / restored, rel=0.1)


def test_a_rate_of_one_step_is_that_of_the_start(module):
    """K = 1: the norm of the first gradient over the bound at the fall of that step, here of a step uphill, which counts as no fall."""
    file = module["zeroth_order_variants_on_text"]
    setting = file.Signs("slope", steps=1, lr=3.0)
    start = file.TEXT.start(0)
    norm = float(grad(lambda W: file.TEXT.loss({"W": W}, None))(start["W"]).norm())
    known = {"K": 1, "lr": 3.0, "L": file.TEXT.facts.L, "d": start["W"].numel()}
    (row,) = file.measure_signs(setting, (0,))
    assert row["share"] == pytest.approx(norm / zeroth_order_steps.signed_slope_rate.at(**known, Delta=0.0), rel=1e-9)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_decision_by_another_lr_is_noticed(claim, module, monkeypatch, rejudged, factor):
    """1.6 and 2.4 over tr H become 0.8 and 1.2, which are both taken, or 3.2 and 4.8, which are both refused."""
    monkeypatch.setattr(module["zeroth_order_variants_on_text"], "Conservative", lambda lr, inner: Conservative(factor * lr, inner))
    assert rejudged(claim["zo.conservative.text"], seeds=tuple(range(8))) is Outcome.VIOLATED


def test_curvature_of_the_bigrams_is_the_one_in_closed_form(module):
    """tr H is the mean of z^T H z over all coordinates, for a small number of characters; by automatic differentiation."""
    file = module["zeroth_order_variants_on_text"]
    params, trace = file.settled()
    W, rows = params["W"], file.TEXT.frequencies.sum(1)
    row = int(rows.argmax())
    hessian = torch.func.hessian(lambda w: file.TEXT.loss({"W": W.index_copy(0, torch.tensor([row]), w[None])}, None))(W[row])
    of_row = float(rows[row] * (1 - W[row].softmax(0).square().sum()))
    assert float(hessian.trace()) == pytest.approx(of_row, rel=1e-9) and 0 < of_row < trace


def test_a_text_that_obeys_a_bound_by_far_does_not_attain_it(claim, rejudged):
    one = claim["gradient-descent.clipped-least"]
    bigrams = [setting for setting in one.plan.settings if setting.problem == "bigrams"]
    assert len(bigrams) == 4 and rejudged(one, settings=bigrams, seeds=(50, 51)) is Outcome.HOLDS
    assert rejudged(replace(one, limit=0.01), settings=bigrams, seeds=(50, 51)) is Outcome.VIOLATED
