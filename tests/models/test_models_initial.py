"""Initial draws: the stated spreads, one stream per (seed, tensor), no global state, float64 first."""

import pytest
import torch

from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build, initial, shapes_of, skeleton
from sandbox.models.llama import LlamaConfig

WIDE = GPTConfig(vocab=100, width=64, layers=8, heads=4, context=64, tied=False)
LECUN = LlamaConfig(vocab=100, width=64, layers=2, heads=4, kv_heads=2, ffn=144, init="lecun")


def assert_spread(w, expected):
    """The estimate from n entries has relative standard deviation 1 / sqrt(2 n); five of them never fail for one seed
    in a million.
    """
    assert abs(w.square().mean().sqrt().item() / expected - 1) < 5 / (2 * w.numel()) ** 0.5


def test_normal_spread_is_std_and_smaller_for_residual_writers():
    w = initial(WIDE, 0, torch.float64)
    for name in ("embedding", "position", "head", "blocks.3.attention.query", "blocks.3.ffn.up"):
        assert_spread(w[f"{name}.weight"], 0.02)
    for name in ("blocks.3.attention.out", "blocks.3.ffn.down"):
        assert_spread(w[f"{name}.weight"], 0.02 / 4)  # sqrt(2 * 8) = 4


def test_lecun_spread_is_one_over_root_fan_in():
    w = initial(LECUN, 0, torch.float64)
    for name, fan_in in (("attention.key", 64), ("attention.out", 64), ("ffn.gate", 64), ("ffn.down", 144)):
        assert_spread(w[f"blocks.1.{name}.weight"], fan_in**-0.5)
    assert_spread(w["embedding.weight"], 64**-0.5)


def test_gains_are_one_and_biases_zero():
    w = initial(WIDE, 0)
    assert (w["norm.weight"] == 1).all() and (w["norm.bias"] == 0).all() and (w["blocks.0.ffn.up.bias"] == 0).all()


def test_same_seed_same_bits_and_other_seed_other_numbers():
    one, two, other = initial(LECUN, 3), initial(LECUN, 3), initial(LECUN, 4)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["embedding.weight"], other["embedding.weight"])


def test_no_two_tensors_share_a_stream():
    w = initial(LECUN, 0, torch.float64)
    first = [value.flatten()[0].item() for name, value in w.items() if value.ndim == 2]
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("config", [WIDE, LECUN], ids=["gpt", "llama"])
def test_float32_is_the_float64_draw_cast(config):
    single, double = initial(config, 0, torch.float32), initial(config, 0, torch.float64)
    assert all(torch.equal(single[name], double[name].float()) for name in double)


def test_building_leaves_the_global_random_state_alone():
    before = torch.random.get_rng_state()
    model = build(LECUN, seed=5)
    assert torch.equal(before, torch.random.get_rng_state())
    expected = initial(LECUN, 5)
    assert all(torch.equal(p, expected[name]) for name, p in model.named_parameters())


def test_the_skeleton_holds_no_numbers():
    assert {p.device.type for p in skeleton(WIDE).parameters()} == {"meta"}
    assert list(shapes_of(WIDE)) == list(initial(WIDE, 0))
