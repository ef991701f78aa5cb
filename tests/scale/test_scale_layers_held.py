"""Layers in subspaces under the target canary: bands are those of plain weights, whatever shell has foreseen them or is held to them."""

import pytest

from sandbox.handoff.reading import read
from sandbox.handoff.recipe import Recipe
from sandbox.handoff.schema import ParametrisationPart, Transferred
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.rso import RSO
from sandbox.run import Schedule
from sandbox.scale import train as trainer
from sandbox.scale.train import CanaryFailed, train
from sandbox.shells.subspace import Coefficients
from sandbox.shells.subspace_linear import SubspaceLinear
from tests.scale.cards import card_of, tiny

CONSTANT = Transferred(low=-0.1, value=0.0, high=0.1, widths=[8, 12, 16], seeds=3, base_width=16, base_value=0.01)
SAME_RANK = ParametrisationPart(name="standard", base_width=16, exponents={}, rank_exponent=0.0)
BIG = '{"type": "LlamaConfig", "vocab": %d, "width": 32, "layers": 1, "heads": 4, "context": 8}'
QUIET = {"say": lambda line: None}
SHELLS = ("stepwise", "subspace")


@pytest.fixture(scope="module")
def cards(place):
    """shell -> the card with the bands that it has foreseen."""
    problem = tiny("scale_words.txt", width=16, batch_size=4)
    (place / "big.json").write_text(BIG % problem.model.vocab)
    framed = RSO(Adam(0.01), rank=2, update_gap=5)
    rules = {n: framed if r.kind in ("query", "ffn_out") else Adam(0.01) for n, r in problem.roles.items()}
    recipe = Recipe(problem, rules, steps=20, schedule=Schedule(20, 2, 0.5), parametrisation=SAME_RANK)
    path = card_of(recipe, place / "rso.json", transfer={"lr": CONSTANT})
    for shell in SHELLS:
        train(path, model="big.json", shell=shell, foresee=place / f"{shell}-bands.json", **QUIET)
    return {shell: place / f"{shell}-bands.json" for shell in SHELLS}


def test_both_shells_foresee_the_same(cards):
    """float32: ten steps of another order of sums."""
    stepwise, subspace = (read(cards[shell])[0].target for shell in SHELLS)
    assert (stepwise.state_bytes, stepwise.gradient_bytes) == (subspace.state_bytes, subspace.gradient_bytes)
    assert set(stepwise.update_ratio) == set(subspace.update_ratio) >= {"query", "ffn_out", "head"}
    for kind, steps in stepwise.update_ratio.items():
        for step, band in steps.items():
            assert (subspace.update_ratio[kind][step].low, subspace.update_ratio[kind][step].high) == pytest.approx(
                (band.low, band.high), rel=1e-3
            )


@pytest.mark.parametrize("shell", SHELLS)
def test_a_good_job_passes_under_the_bands_of_the_other(shell, cards):
    other, said = SHELLS[1 - SHELLS.index(shell)], []
    assert len(train(cards[other], model="big.json", shell=shell, say=said.append).losses) == 20
    assert "the first ten steps lie in the bands that the card foresees for this model" in said


def test_a_step_of_coefficients_that_is_too_long_is_caught_by_the_weights_of_its_layer(cards, monkeypatch):
    straight = Coefficients.step

    def long(self, g, state, B):
        delta, state = straight(self, g, state, B)
        return 4 * delta, state

    monkeypatch.setattr(Coefficients, "step", long)
    monkeypatch.setattr(trainer, "code_canary", lambda *_: None)
    with pytest.raises(CanaryFailed, match=r"RMS\(update\) / RMS\(weight\) of the first (query|ffn_out) at step 1 must lie in"):
        train(cards["stepwise"], model="big.json", shell="subspace", **QUIET)


def test_weights_that_have_gradients_in_a_layer_are_caught(cards, monkeypatch):
    straight = SubspaceLinear.forward
    monkeypatch.setattr(SubspaceLinear, "forward", lambda self, x: straight(self, x) if self.W.requires_grad_() is not None else None)
    monkeypatch.setattr(trainer, "code_canary", lambda *_: None)
    with pytest.raises(CanaryFailed, match="gradients of all 1 ranks together must take"):
        train(cards["stepwise"], model="big.json", shell="subspace", **QUIET)
