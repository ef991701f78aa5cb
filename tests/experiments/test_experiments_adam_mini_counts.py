"""The counts of Adam-mini and its throughput as records, and their checkers under planted faults.

Nothing here is a number of a run. The throughput runs on a GPU only; here its pieces run on the CPU, on a tiny model.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sandbox.memory.meters import state_bytes
from sandbox.verdict import Outcome

# --- arithmetic


def test_the_state_is_that_of_the_rules_on_meta_tensors(module):
    """Bytes by formula against bytes of the states that the rules make for every tensor of TinyLlama."""
    file = module["adam_mini_arithmetic"]
    for cut in ("adamw", "adam-mini 1.1", "adam-mini 1.0"):
        setting = file.State("TinyLlama-1.1B", cut)
        shapes = file.llama_shapes(file.TINYLLAMA_1_1B)
        rules = file.rules_of(setting, file.TINYLLAMA_1_1B)
        rule_of = rules.get if isinstance(rules, dict) else lambda name, rule=rules: rule
        met = sum(state_bytes(rule_of(name).init(torch.empty(s, device="meta"))) for name, s in shapes.items())
        assert file.state(setting, 0)["GB"] == pytest.approx(met / 1e9, rel=1e-12)


def test_a_second_moment_per_entry_saves_nothing(claim, module, monkeypatch, rejudged):
    file = module["adam_mini_arithmetic"]
    full = lambda a: {name: int(np.prod(s)) for name, s in file.llama_shapes(a).items()}  # noqa: E731
    monkeypatch.setattr(file, "adam_mini_blocks", full)
    assert rejudged(claim["adam-mini.memory"]) is Outcome.VIOLATED
    assert rejudged(claim["adam-mini.memory.kept"]) is Outcome.VIOLATED


def test_the_press_total_is_two_gigabytes_too_high(claim, rejudged):
    assert rejudged(replace(claim["adam-mini.press.total"], limit=84.0)) is Outcome.HOLDS


def test_the_first_release_cuts_heads_by_a_number_of_entries(module):
    """width^2 / n_heads entries a block: 32 for 4096 x 4096 queries, 8 for the 1024 x 4096 keys of grouped queries."""
    file = module["adam_mini_arithmetic"]
    rules = file.rules_of(file.State("Llama-3-8B", "adam-mini 1.0"), file.LLAMA_3_8B)
    blocks = {name: rules[f"model.layers.0.self_attn.{name}.weight"].n_blocks for name in ("q_proj", "k_proj", "v_proj")}
    assert blocks == {"q_proj": 32, "k_proj": 8, "v_proj": 1}


def test_what_is_kept_is_the_number_of_blocks_over_the_number_of_entries(module):
    file = module["adam_mini_arithmetic"]
    for cut, wanted in (("adamw", 1.0), ("adam-mini 1.1", None)):
        a = file.TINYLLAMA_1_1B
        share = wanted or sum(file.adam_mini_blocks(a).values()) / file.entries(file.llama_shapes(a))
        values = file.state(file.State(a.name, cut), 0)
        assert values["kept"] == pytest.approx(100 * share, rel=1e-9)
        assert values["saved"] == pytest.approx(50 * (1 - share), rel=1e-9)


CHEAP = (
    "adam-mini.memory",
    "adam-mini.memory.kept",
    "adam-mini.memory.v1",
    "adam-mini.memory.v1.others",
    "adam-mini.press.state",
    "adam-mini.press.total",
    "adam-mini.press.throughput",
    "adam-mini.press.time",
)


@pytest.mark.parametrize("name", CHEAP)
def test_what_needs_no_other_seeds_gives_its_own_verdict(claim, name, rejudged):
    assert rejudged(claim[name]) is claim[name].expected


@pytest.mark.parametrize("name", ["adam-mini.press.throughput", "adam-mini.press.time"])
def test_swapped_throughputs_are_noticed(claim, name, rejudged):
    setting = claim[name].plan.settings[0]
    swapped = replace(setting, ours=setting.theirs, theirs=setting.ours)
    assert rejudged(claim[name], settings=(swapped,)) is Outcome.VIOLATED


# --- throughput


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_one_sentence_says_so(claim):
    one = claim["adam-mini.throughput.gpu"]
    with pytest.raises(ValueError, match=r"CUDA device and torch .* sees none here; run `sandbox check .* --tier study` on a machine"):
        one.measure(one.plan.settings[0], (0,))


def test_both_methods_train_and_are_timed(module):
    """On the CPU: a positive number of tokens a second, and weights that move under both."""
    file = module["adam_mini_throughput"]
    tiny = file.Speed(width=16, layers=1, heads=2, vocab=32, context=8, batch=2, steps=2, warmup=1)
    for method in file.METHODS.values():
        models = []

        def kept(model, lr, method=method, models=models):
            models.append((model, [w.detach().clone() for w in model.parameters()]))
            return method(model, lr)

        assert file.tokens_a_second(tiny, kept, seed=0, device="cpu") > 0
        model, before = models[0]
        assert all(not torch.equal(w, old) for w, old in zip(model.parameters(), before, strict=True))


def test_the_speed_is_tokens_of_a_batch_over_the_median_time(module, monkeypatch):
    """Times 9 (warm-up), 1, 2, 30: the median of the last three is 2 s, for 2 x 8 tokens."""
    file, times = module["adam_mini_throughput"], iter([9.0, 1.0, 2.0, 30.0])
    monkeypatch.setattr(file, "timed", lambda *_: next(times))
    tiny = file.Speed(width=16, layers=1, heads=2, vocab=32, context=8, batch=2, steps=3, warmup=1)
    assert file.tokens_a_second(tiny, file.fused_adamw, seed=0, device="cpu") == 8.0


@pytest.mark.parametrize(("ratio", "cap", "gain"), [(0.9, "HOLDS", "VIOLATED"), (1.2, "VIOLATED", "VIOLATED"), (1.6, "VIOLATED", "HOLDS")])
def test_the_verdicts_turn_at_one_and_at_the_published_gain(claim, module, monkeypatch, ratio, cap, gain, rejudged):
    """Speeds made up; the order of the two methods turns with the seed."""
    file, asked = module["adam_mini_throughput"], []

    def made_up(setting, method, *, seed, device):
        asked.append((seed, method))
        return 1000.0 * (ratio if method is file.our_adam_mini else 1.0) * (1 + 0.001 * seed)

    monkeypatch.setattr(file, "require_gpu", lambda: None)
    monkeypatch.setattr(file, "tokens_a_second", made_up)
    assert rejudged(claim["adam-mini.throughput.gpu"]).name == cap
    assert rejudged(claim["adam-mini.throughput.gpu.gain"]).name == gain
    assert [m for s, m in asked[:4]] == [file.our_adam_mini, file.fused_adamw, file.fused_adamw, file.our_adam_mini]
