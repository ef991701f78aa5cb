"""Who gets which cut, what goes on from where, and the price of a mean against numbers on paper."""

from dataclasses import replace

import pytest
import torch

from sandbox.models.cuts import Blocks
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.run import run


@pytest.fixture(scope="module")
def noise(module):
    return module["adam_mini_noise_on_text"]


@pytest.fixture(scope="module")
def short(noise):
    return noise.Setting(width=8, ffn=8, before=3, steps=4, batches=2)


@pytest.fixture(scope="module")
def after(noise, short):
    return noise.trained(short, noise.problem_of(short), (5, 6))


def test_the_price_on_paper(noise):
    """A block of 1 and 9 shares sqrt 5: 2 sqrt 5 - 4; a tensor of 4 and 4 costs nothing; entries by themselves neither."""
    S = {"row": torch.tensor([[1.0, 9.0], [4.0, 4.0]], dtype=torch.float64), "norm": torch.tensor([16.0, 0.0], dtype=torch.float64)}
    rows = {"row": Blocks("row", 2)}
    assert noise.price(0.4, S, rows) == pytest.approx(0.1 * (2 * 5**0.5 - 4), rel=1e-14)
    assert noise.price(0.4, S, {"row": Blocks("row", 2, dim=1)}) == pytest.approx(0.1 * (2 * 2.5**0.5 + 2 * 6.5**0.5 - 8), rel=1e-14)
    assert noise.price(0.4, S, {"norm": Blocks("whole", 1)}) == pytest.approx(0.1 * (2 * 8**0.5 - 4), rel=1e-14)
    assert noise.price(0.4, S, {"row": Blocks("entry", 4)}) == pytest.approx(0.0, abs=1e-15)
    assert noise.price(0.4, S, {}) == 0.0


def test_cuts_of_every_method(noise, short):
    """(65 or so characters, 8 features) for embedding and head: blocks of 8 features, or of all tokens."""
    problem = noise.problem_of(short)
    vocab = problem.model.vocab
    count = {m: {n: cut.count for n, cut in noise.cuts_of(m, problem).items()} for m in ("adam", "mini", "whole", "tokens", "features")}
    tables = {"embedding.weight", "head.weight"}
    assert count["adam"] == {}
    assert count["mini"].keys() == count["whole"].keys() == problem.roles.keys() and set(count["whole"].values()) == {1}
    assert count["tokens"] == dict.fromkeys(tables, vocab) and count["features"] == dict.fromkeys(tables, 8)
    assert {name: count["mini"][name] for name in tables} == count["tokens"]
    dims = {name: cut.dim for name, cut in noise.cuts_of("features", problem).items()}
    assert dims == dict.fromkeys(tables, 1)


def test_the_rest_is_adam_at_the_same_rate(noise, short):
    rules = noise.rules_of("features", 0.25, noise.problem_of(short))
    assert {type(rules[name]) for name in ("embedding.weight", "head.weight")} == {AdamMini}
    assert {type(rule) for name, rule in rules.items() if name not in ("embedding.weight", "head.weight")} == {Adam}
    assert {(rule.lr, rule.betas) for rule in rules.values()} == {(0.25, noise.BETAS)}


def test_it_goes_on_from_the_end_of_adamw_with_the_batches_that_come_next(noise, short, after):
    problem = after.inner
    wanted = run(problem, noise.AdamW(short.lr_before, noise.BETAS), steps=3, seed=6).final
    for name, w in after.start(6).items():
        assert torch.allclose(w, torch.from_numpy(wanted[name]).float(), rtol=1e-3, atol=2e-3)  # float32; biases of keys: noise x lr
    assert torch.equal(after.batch(6, 1), problem.batch(6, 4))
    assert not torch.equal(after.start(5)["head.weight"], after.start(6)["head.weight"])
    assert after.loss(after.start(6), after.batch(6, 0)) == problem.loss(after.start(6), problem.batch(6, 3))


def test_the_loss_at_rest_is_the_mean_of_the_last_half_before_each_step(noise, short, after):
    """At a rate of 0 nothing moves: the mean loss of the start over the batches of steps 2 and 3, the sixth and seventh of all."""
    rules = noise.rules_of("mini", 0.0, after.inner)
    found = noise.at_rest(short, after, rules, (5, 6))
    for seed, loss in zip((5, 6), found, strict=True):
        start = after.start(seed)
        wanted = (after.inner.loss(start, after.inner.batch(seed, 5)) + after.inner.loss(start, after.inner.batch(seed, 6))) / 2
        assert loss == pytest.approx(float(wanted), rel=1e-5)  # float32


def test_squares_are_means_over_batches_after_the_last_step(noise, short, after):
    S = noise.squares(short, after, 5)
    leaves = {name: w.clone().requires_grad_() for name, w in after.start(5).items()}
    slopes = [torch.autograd.grad(after.inner.loss(leaves, after.inner.batch(5, k)), list(leaves.values())) for k in (7, 8)]
    for k, name in enumerate(leaves):
        wanted = (slopes[0][k].double() ** 2 + slopes[1][k].double() ** 2) / 2
        assert torch.allclose(S[name], wanted, rtol=1e-3, atol=1e-12)  # float32 gradients, squared; biases of keys are rounding


def test_a_row_pairs_what_it_compares(noise, short):
    """At a rate of 0 all methods see one loss; at a rate that is far too large they part."""
    still, moved = (noise.measure(replace(short, lr=lr), (5,))[0] for lr in (0.0, 0.3))
    assert still["excess"] == still["excess at half"] == 0.0 and still["whole"] == still["tokens"] == still["adam"]
    assert still["price mini"] == 0.0 == moved["price adam"] < moved["price mini"] < moved["price whole"]  # coarser cuts cost more
    assert moved["excess"] == moved["mini"] - moved["adam"] != 0.0
    assert moved["excess at half"] == moved["mini at half"] - moved["adam at half"] != moved["excess"]
    assert moved["tokens"] != moved["features"]
