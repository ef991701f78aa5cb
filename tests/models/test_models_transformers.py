"""What both families must satisfy: causality, derivatives of every kind, maps over parameters, ties, the loss at the
start.
"""

from dataclasses import replace
from math import log

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call, grad, jvp, vmap

from sandbox.draws import generator, normal
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build, initial, skeleton
from sandbox.models.llama import LlamaConfig

CONFIGS = (
    GPTConfig(vocab=13, width=8, layers=2, heads=2, context=6, std=0.3),
    LlamaConfig(vocab=13, width=8, layers=2, heads=2, kv_heads=1, context=6, tied=True, std=0.3),
    GPTConfig(vocab=13, width=8, layers=1, heads=4, context=6, tied=False, std=0.3),
    LlamaConfig(vocab=13, width=16, layers=1, heads=2, context=6, tied=False, std=0.3, init="lecun"),
)
each_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{type(c).__name__}-{'tied' if c.tied else 'free'}")
TOKENS = torch.tensor([[1, 5, 3, 12, 0, 4], [7, 7, 2, 4, 9, 11]])


def loss_of(config):
    def loss(params):
        logits = functional_call(skeleton(config), params, (TOKENS[:, :-1],))
        return F.cross_entropy(logits.flatten(0, 1), TOKENS[:, 1:].flatten())

    return loss


def like(params, seed):
    return {name: normal(tuple(p.shape), generator(seed, i)) for i, (name, p) in enumerate(params.items())}


def dot(a, b):
    return sum((a[name] * b[name]).sum() for name in a)


@each_config
@pytest.mark.parametrize("changed", [1, 3, 5])
def test_a_future_token_changes_no_earlier_logit(config, changed):
    """Bit for bit before the change, and something does change from there on."""
    model = build(config, seed=0)
    other = TOKENS.clone()
    other[:, changed] = (other[:, changed] + 1) % 13
    before, after = model(TOKENS), model(other)
    assert torch.equal(before[:, :changed], after[:, :changed])
    assert (before[:, changed:] != after[:, changed:]).any(-1).all()


@each_config
def test_second_derivatives_agree_by_two_modes_and_by_differences(config):
    """Reverse over reverse equals forward over reverse; central differences of the gradient err by h^2, so half the h,
    a quarter of it.
    """
    loss = loss_of(config)
    w = initial(config, 0, torch.float64)
    v = like(w, 1)
    forward = jvp(grad(loss), (w,), (v,))[1]
    reverse = grad(lambda p: dot(grad(loss)(p), v))(w)
    for name in w:
        torch.testing.assert_close(forward[name], reverse[name], rtol=1e-9, atol=1e-11)

    def error(h):
        high, low = (grad(loss)({name: w[name] + s * v[name] for name in w}) for s in (h, -h))
        miss = {name: (high[name] - low[name]) / (2 * h) - forward[name] for name in w}
        return dot(miss, miss).sqrt() / dot(forward, forward).sqrt()

    assert error(1e-4) < 1e-4  # the leading term is small here
    assert 3.5 < error(1e-4) / error(5e-5) < 4.5  # rounding adds about 1e-16 / h = 1e-12


@each_config
def test_double_backward_by_autograd(config):
    """torch.autograd twice, as an optimizer's user would, agrees with the functional transforms."""
    w = {name: p.requires_grad_() for name, p in initial(config, 0, torch.float64).items()}
    v = like(w, 1)
    first = torch.autograd.grad(loss_of(config)(w), list(w.values()), create_graph=True)
    second = torch.autograd.grad(sum((g * v[n]).sum() for n, g in zip(w, first, strict=True)), list(w.values()))
    expected = jvp(grad(loss_of(config)), ({n: p.detach() for n, p in w.items()},), (v,))[1]
    for name, got in zip(w, second, strict=True):
        torch.testing.assert_close(got, expected[name], rtol=1e-9, atol=1e-11)


@each_config
def test_a_map_over_parameters_is_a_loop(config):
    runs = [initial(config, seed, torch.float64) for seed in range(3)]
    stacked = {name: torch.stack([run[name] for run in runs]) for name in runs[0]}
    losses, grads = vmap(loss_of(config))(stacked), vmap(grad(loss_of(config)))(stacked)
    for i, run in enumerate(runs):
        torch.testing.assert_close(losses[i], loss_of(config)(run), rtol=1e-12, atol=0)
        for name, g in grad(loss_of(config))(run).items():
            torch.testing.assert_close(grads[name][i], g, rtol=1e-10, atol=1e-13)


@each_config
def test_small_weights_guess_uniformly(config):
    """All logits tend to 0 with the weights, so the loss tends to ln V; std 1e-3 leaves logits of about 1e-3
    sqrt(width).
    """
    config = replace(config, init="normal", std=1e-3)
    assert abs(loss_of(config)(initial(config, 0, torch.float64)).item() - log(13)) < 0.01


@each_config
def test_a_tied_tensor_is_one_tensor(config):
    """The head exists as a parameter only when it is free, and a tied one gets the gradient of both its uses."""
    w = initial(config, 0, torch.float64)
    assert ("head.weight" in w) == (not config.tied)
    if config.tied:
        free = replace(config, tied=False)
        both = grad(loss_of(free))(w | {"head.weight": w["embedding.weight"]})
        expected = both["embedding.weight"] + both["head.weight"]
        torch.testing.assert_close(grad(loss_of(config))(w)["embedding.weight"], expected, rtol=1e-10, atol=1e-13)
