"""Clipping by the global norm in two backwards, against torch's clip_grad_norm_ before the stepwise shell."""

import math

import pytest
import torch
from torch import Tensor, nn

from sandbox.draws import generator, normal
from sandbox.memory.allocator import allocations
from sandbox.memory.meters import peak_gradient_bytes
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise

SHAPES = {"a": (6, 4), "b": (4, 5), "c": (5,)}


def leaves(dtype: torch.dtype = torch.float64) -> dict[str, nn.Parameter]:
    return {key: nn.Parameter(normal(shape, generator(i)).to(dtype)) for i, (key, shape) in enumerate(SHAPES.items())}


def loss_of(w: dict[str, nn.Parameter], k: int) -> Tensor:
    x = normal((3, 6), generator(9, k)).to(w["a"].dtype)
    return (torch.tanh(x @ w["a"]) @ w["b"] + w["c"]).square().sum()


def clipped_stepwise(rule, max_norm: float, dtype: torch.dtype) -> tuple[dict, list[Tensor]]:
    w, norms = leaves(dtype), []
    optimizer = Stepwise(w.items(), rule)
    for k in range(5):
        optimizer.zero_grad()
        loss_of(w, k).backward()
        norms.append(torch.nn.utils.clip_grad_norm_(w.values(), max_norm))
        optimizer.step()
    return w, norms


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("max_norm", [0.5, 1e9, math.inf])
@pytest.mark.parametrize("rule", [GradientDescent(0.01), Adam(0.01, betas=(0.9, 0.99)), AdaLomo(0.01)], ids=lambda r: type(r).__name__)
def test_two_backwards_clip_with_the_bits_of_torch(rule, max_norm, dtype):
    """Active (the norms are above 1), inactive, and measured alone."""
    expected, norms = clipped_stepwise(rule, max_norm, dtype)
    assert min(norms) > 1
    w = leaves(dtype)
    optimizer = Fused(w.items(), rule)
    for k in range(5):
        loss = loss_of(w, k)
        with optimizer.measuring(max_norm):
            loss.backward(retain_graph=True)
        assert torch.equal(optimizer.total_norm, norms[k])
        loss.backward()
        optimizer.step()
    assert all(torch.equal(w[key], expected[key]) for key in w)


def test_a_second_forward_may_take_the_place_of_the_kept_graph():
    """fork_rng repeats the dropout mask, so the norm is that of the gradient which moves: exactly max_norm per step of lr 1."""
    w = nn.Parameter(torch.ones(1000, dtype=torch.float64))
    optimizer = Fused([("w", w)], GradientDescent(lr=1.0))
    with torch.random.fork_rng(), optimizer.measuring(0.5):
        torch.nn.functional.dropout(w, 0.5).sum().backward()
    torch.nn.functional.dropout(w, 0.5).sum().backward()
    moved = (w.detach() - 1).norm().item()
    assert moved == pytest.approx(0.5, rel=1e-6)  # eps 1e-6 beside a norm of about 45


def chain(n: int, layers: int) -> tuple[dict[str, nn.Parameter], Tensor]:
    w = {str(i): nn.Parameter(normal((n, n), generator(i)) / n**0.5) for i in range(layers)}
    return w, normal((1, n), generator(99))


def through(w: dict[str, nn.Parameter], x: Tensor) -> Tensor:
    for weight in w.values():
        x = torch.tanh(x @ weight)
    return x.square().sum()


def test_measuring_holds_one_gradient_at_a_time():
    """5 square layers, batch 1: measuring needs one tensor and the second backward two, a gradient and its step; the usual
    way holds 5. Activations are 1/n of a tensor, and 5 % is room for all of them.
    """
    n, layers = 256, 5
    tensor, room = n * n * 8, 1.05
    w, x = chain(n, layers)
    optimizer = Fused(w.items(), GradientDescent(lr=0.01))
    loss = through(w, x)

    def measured() -> None:
        with optimizer.measuring(1.0):
            loss.backward(retain_graph=True)

    assert allocations(measured).peak <= room * tensor
    assert allocations(loss.backward).peak <= room * 2 * tensor
    usual, x = chain(n, layers)
    assert allocations(through(usual, x).backward).peak >= layers * tensor
    again, x = chain(n, layers)
    shell = Fused(again.items(), GradientDescent(lr=0.01))

    def both() -> None:
        loss = through(again, x)
        with shell.measuring(1.0):
            loss.backward(retain_graph=True)
        loss.backward()

    assert peak_gradient_bytes(again.values(), both) == tensor


def test_measuring_moves_nothing_and_a_step_in_between_is_refused():
    w = leaves()
    optimizer, before = Fused(w.items(), Adam(lr=0.1)), leaves()
    with optimizer.measuring(1.0):
        loss_of(w, 0).backward()
    assert all(torch.equal(w[key], before[key]) and w[key].grad is None for key in w) and not optimizer.state
    with pytest.raises(RuntimeError, match="the norm was measured, but no backward has moved the weights since"):
        optimizer.step()


def test_a_factor_serves_one_step():
    """LOMO's own code keeps the last one when the norm is not measured again; here the next step is unclipped."""
    w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = Fused([("w", w)], GradientDescent(lr=1.0))
    with optimizer.measuring(1.0):
        (8 * w).sum().backward()
    (8 * w).sum().backward()
    optimizer.step()
    assert w.item() == pytest.approx(-1.0, rel=1e-6)  # eps 1e-6 beside a norm of 8
    (8 * w).sum().backward()
    optimizer.step()
    assert w.item() == pytest.approx(-9.0, rel=1e-6)


def test_accumulation_while_measuring_is_refused_too():
    w = leaves()
    optimizer = Fused(w.items(), GradientDescent(lr=0.1))
    with pytest.raises(RuntimeError, match="second gradient before step.., in another backward"), optimizer.measuring(1.0):
        loss_of(w, 0).backward()
        loss_of(w, 1).backward()
    loss_of(w, 0).backward()  # the failed measurement is forgotten: this one moves, unclipped
    optimizer.step()
    assert optimizer.state[w["a"]]["step"] == 1


def test_measuring_after_a_move_or_without_a_backward_is_refused():
    w = leaves()
    optimizer = Fused(w.items(), GradientDescent(lr=0.1))
    loss_of(w, 0).backward()
    with pytest.raises(RuntimeError, match="measuring must come before the backward that moves the weights"), optimizer.measuring(1.0):
        pass
    optimizer.step()
    with pytest.raises(RuntimeError, match="no gradient arrived while measuring"), optimizer.measuring(1.0):
        pass


@pytest.mark.parametrize("max_norm", [0.0, -1.0, math.nan])
def test_a_norm_must_be_positive(max_norm):
    optimizer = Fused(leaves().items(), GradientDescent(lr=0.1))
    with pytest.raises(ValueError, match=f"max_norm must be > 0, got {max_norm}"), optimizer.measuring(max_norm):
        pass


@pytest.mark.parametrize("policy, steps", [("raise", 0), ("skip", 0), ("zero", 1), ("pass", 1)])
def test_after_measuring_a_policy_holds_for_the_whole_step(policy, steps):
    """c comes last in the table and first in backward: without measuring it would have moved before a's nan is seen."""
    w, before = leaves(), leaves()
    optimizer = Fused(w.items(), GradientDescent(lr=0.1), nonfinite=policy)
    spoiled = torch.where(torch.arange(24).reshape(6, 4) == 5, torch.nan, 1.0)

    def loss() -> Tensor:
        return (w["a"] * spoiled).sum() + w["b"].sum() + w["c"].sum()

    if policy == "raise":
        message = "1 of 24 entries of the gradient of a are not finite, or not .* in torch.float.., at step 0; no weight was moved"
        with pytest.raises(FloatingPointError, match=message), optimizer.measuring(1.0):
            loss().backward()
    else:
        with optimizer.measuring(1.0):
            loss().backward()
        loss().backward()
        optimizer.step()
    assert optimizer.skipped == (policy == "skip")
    assert all(torch.equal(w[key], before[key]) == (steps == 0) for key in w)
    assert all(w[key].isfinite().all() == (policy != "pass") for key in w)
    if policy == "zero":
        assert optimizer.total_norm.item() == pytest.approx((23 + 20 + 5) ** 0.5, rel=1e-12)


def test_what_broke_off_while_measuring_leaves_out_nothing_later():
    """A bad gradient, then an exception of the caller's: the next step, measured anew, is a whole one."""
    w = nn.Parameter(torch.ones(2))
    optimizer = Fused([("w", w)], GradientDescent(0.5), nonfinite="skip")
    with pytest.raises(KeyError), optimizer.measuring(math.inf):
        (w * math.nan).sum().backward()
        raise KeyError
    with optimizer.measuring(math.inf):
        w.sum().backward()
    w.sum().backward()
    optimizer.step()
    assert w.tolist() == [0.5, 0.5] and optimizer.skipped == 0


def test_a_norm_that_overflows_is_not_taken_for_zero():
    """Four tensors of 1.5e19 in float32: each has a square, their sum has none. torch's factor would be 0, a step of nothing in silence."""
    w = [nn.Parameter(torch.ones(1)) for _ in range(4)]
    optimizer = Fused(w, GradientDescent(lr=1.0))
    with pytest.raises(FloatingPointError, match="the norm of 4 finite gradients overflows torch.float32"), optimizer.measuring(1.0):
        (1.5e19 * sum(w)).sum().backward()
