"""Bands of the target canary: prediction intervals that cover, causes that name what was planted."""

from dataclasses import replace

import numpy as np
import pytest

from sandbox.handoff.schema import Band
from sandbox.handoff.target import RATIO_FLOOR, Seen, bytes_problem, foreseen, interval, loss_problem, narrowed, ratio_problem
from sandbox.models.gpt import GPTConfig
from sandbox.models.llama import LlamaConfig

FIXED = {"model": {"type": "LlamaConfig"}, "parameters": 10, "state_bytes": 80, "gradient_bytes": 40}


def test_an_interval_covers_the_next_run_as_often_as_it_says():
    """2000 lines of six runs with noise: the misses of a 90 % interval at another width are binomial, +- 4 standard deviations."""
    rng, xs = np.random.default_rng(0), np.log(np.array([32, 32, 64, 64, 128, 128]))
    missed = 0
    for _ in range(2000):
        ys, new = 2 - 0.3 * xs + 0.1 * rng.standard_normal(6), 2 - 0.3 * np.log(512) + 0.1 * rng.standard_normal()
        low, high = interval(xs, ys, np.log(512), 0.1)
        missed += not low <= new <= high
    assert abs(missed - 200) < 4 * (2000 * 0.1 * 0.9) ** 0.5


def test_an_interval_of_one_width_is_that_of_its_mean():
    """t with two degrees of freedom at 95 %: 4.3027, from a table."""
    low, high = interval(np.zeros(3), np.array([1.0, 2.0, 3.0]), 0.0, 0.05)
    assert (low + high) / 2 == pytest.approx(2) and (high - low) / 2 == pytest.approx(4.3027 * (4 / 3) ** 0.5, rel=1e-4)


def runs(width, seeds=3):
    """Losses that fall and ratios that follow 1 / width, with a small spread."""
    rng = np.random.default_rng(width)
    for _ in range(seeds):
        wobble = 1 + 0.001 * rng.standard_normal(3)
        ratios = {"query": {k: 0.64 / width * wobble[0] for k in ("1", "2", "10")}, "bias": dict.fromkeys(("1", "2", "10"), 0.0)}
        yield Seen(3.0 * wobble[1], 2.5 * wobble[2], ratios)


def test_bands_follow_the_line_over_widths_and_leave_out_what_has_no_ratio():
    part = foreseen({n: list(runs(n)) for n in (8, 16, 32)}, 64, FIXED)
    band = part.update_ratio["query"]["2"]
    assert set(part.update_ratio) == {"query"} and band.low < 0.01 < band.high
    assert np.exp(2 * RATIO_FLOOR) < band.high / band.low < 1.1 * np.exp(2 * RATIO_FLOOR)
    assert part.loss_0.low < 3.0 < part.loss_0.high and part.loss_10.widths == [8, 16, 32]
    assert part.loss_0.high - part.loss_0.low < 0.2


def test_all_bands_together_refuse_one_good_run_in_a_hundred():
    """Losses at step 0 and 10, and three ratios of each kind that has one, share the hundredth equally; floors come on top."""
    seen = {n: list(runs(n)) for n in (8, 16, 32)}
    for kinds in (1, 4):
        more = {n: [replace(r, ratios={f"k{i}": r.ratios["query"] for i in range(kinds)}) for r in group] for n, group in seen.items()}
        part, xs = foreseen(more, 64, FIXED), np.log(np.repeat([8, 16, 32], 3))
        level = 0.01 / (2 + 3 * kinds)
        for band, losses in ((part.loss_0, "loss_0"), (part.loss_10, "loss_10")):
            low, high = interval(xs, np.array([getattr(r, losses) for group in seen.values() for r in group]), np.log(64), level)
            assert (band.low, band.high) == pytest.approx((0.99 * low, 1.01 * high), rel=1e-12)
        logs = np.log([r.ratios["query"]["10"] for group in seen.values() for r in group])
        low, high = interval(xs, logs, np.log(64), level)
        band = part.update_ratio["k0"]["10"]
        assert np.log([band.low, band.high]) == pytest.approx([low - RATIO_FLOOR, high + RATIO_FLOOR], rel=1e-12)


def test_too_few_runs_have_no_band():
    with pytest.raises(ValueError, match="bands need at least 3 runs, got 2"):
        foreseen({8: list(runs(8, 2))}, 64, FIXED)


@pytest.mark.parametrize("config", [LlamaConfig(50, width=64, heads=4, kv_heads=2, ffn=176), GPTConfig(50, width=64, heads=4)])
@pytest.mark.parametrize("width", [16, 32, 48])
def test_a_narrowed_model_keeps_the_size_of_heads_and_the_proportions(config, width):
    small = narrowed(config, width)
    assert small.width == width and small.width // small.heads == 16 and small.layers == config.layers and small.vocab == config.vocab
    assert small.hidden / width == pytest.approx(config.hidden / config.width, rel=0.2)
    if isinstance(config, LlamaConfig) and small.heads % 2 == 0:
        assert small.heads // small.groups == 2


WIDE = {kind: {"1": Band(low=0.08, high=0.125), "10": Band(low=0.08, high=0.125)} for kind in ("query", "ffn_in", "embedding", "head")}


@pytest.mark.parametrize(
    ("step", "changed", "first_cause"),
    [
        ("1", {"query": 0.4, "ffn_in": 0.4, "embedding": 0.4, "head": 0.4}, "a learning rate 4 times the foreseen one"),
        ("1", {"query": 0.4, "ffn_in": 0.4}, "a frame whose scale is dropped or doubled (its steps are 4 times the foreseen ones)"),
        ("10", {"embedding": 0.14}, "another beta, or averages that are lost between steps"),
        ("1", {"head": 0.05}, "factors of the learning rate or of the initial scale for another width"),
    ],
)
def test_the_likeliest_cause_is_told_by_which_kinds_are_off(step, changed, first_cause):
    found = ratio_problem(WIDE, step, dict.fromkeys(WIDE, 0.1) | changed, framed=("query", "ffn_in"))
    assert f"at step {step} must lie in [0.08, 0.125], and " in found and f"likeliest: {first_cause}; " in found
    assert found.count(";") == 3  # three causes


def test_the_kind_that_is_furthest_off_is_named():
    """A factor of 8 below counts for more than one of 4 above."""
    assert "of the first query at step 1" in ratio_problem(WIDE, "1", dict.fromkeys(WIDE, 0.1) | {"query": 0.4, "head": 0.2}, ())
    assert "of the first head at step 1" in ratio_problem(WIDE, "1", dict.fromkeys(WIDE, 0.1) | {"query": 0.4, "head": 0.0125}, ())


def test_what_lies_in_its_band_is_no_problem():
    assert ratio_problem(WIDE, "1", dict.fromkeys(WIDE, 0.1), ()) is None
    assert loss_problem(Band(low=1, high=2), 0, 1.5) is None
    assert bytes_problem("states", 80, 96, 80, 2) is None and bytes_problem("states", 80, 96, 96, 2) is None


def test_a_loss_outside_says_step_band_and_causes():
    found = loss_problem(Band(low=1, high=2), 10, 2.5)
    assert found.startswith("the loss before step 10 must lie in [1, 2], and 2.5 came; likeliest: another learning rate")
    assert "a tokenizer or a vocabulary" in loss_problem(Band(low=1, high=2), 0, float("nan"))


@pytest.mark.parametrize(("found", "cause"), [(160, "it is whole on every rank, not sharded"), (40, "a rule or a frame on fewer tensors")])
def test_bytes_outside_say_how_many_times(found, cause):
    said = bytes_problem("states", 80, 96, found, 2)
    assert f"must take 80 to 96 bytes after step 1, and {found} came, {found / 80:.2f} times; likeliest: {cause}" in said
