"""LOMO's claim: the fused shell gives the bits of the stepwise shell while at most one gradient is alive."""

import copy
import shutil
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from sandbox.draws import generator, normal
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise

COMPILED = pytest.param("compiled", marks=pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler"))


class Tied(nn.Module):
    """Three layers on one-hot tokens whose first and last weight are the same tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Parameter(normal((7, 4), generator(0)))
        self.hidden = nn.Parameter(normal((4, 4), generator(1)))
        self.gain = nn.Parameter(torch.ones(4, dtype=torch.float64))

    def forward(self, tokens: Tensor) -> Tensor:
        x = torch.tanh(F.embedding(tokens, self.embedding) @ self.hidden) * self.gain
        return F.cross_entropy(x @ self.embedding.T, tokens.roll(1))


def rules(matrix) -> dict:
    return {"embedding": matrix, "hidden": matrix, "gain": GradientDescent(lr=0.1)}


MATRIX_RULES = (
    GradientDescent(lr=0.1),
    AdaLomo(lr=0.1),
    GaLore(Adam(lr=0.1), rank=2, update_gap=3),
    RSO(Adam(lr=0.1), rank=2, update_gap=3, eta=1.0),
)
TOKENS = torch.tensor([0, 3, 1, 6, 2, 2, 5])


def trained(shell: type, matrix, steps: int) -> tuple[Tied, list[float]]:
    model, losses = Tied(), []
    optimizer = shell(model.named_parameters(), rules(matrix), seed=3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    for k in range(steps):
        optimizer.zero_grad()
        loss = model(TOKENS.roll(k))
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return model, losses


@pytest.mark.parametrize("matrix", MATRIX_RULES, ids=lambda r: type(r).__name__)
def test_gives_the_bits_of_the_stepwise_shell_on_a_tied_model(matrix):
    """Losses and weights over 8 scheduled steps with two refreshes; gradient descent is LOMO = SGD."""
    fused, fused_losses = trained(Fused, matrix, 8)
    stepwise, losses = trained(Stepwise, matrix, 8)
    assert fused_losses == losses and losses[-1] != losses[0]
    assert all(torch.equal(p, q) for p, q in zip(fused.parameters(), stepwise.parameters(), strict=True))


def test_at_most_one_gradient_is_alive():
    """Counted over .grad whenever a gradient is complete; the stepwise shell is the control with all three."""
    for shell, expected in ((Fused, 1), (Stepwise, 3)):
        model, alive = Tied(), []
        for p in model.parameters():  # registered before the shell's own hooks, so it sees the gradient that is about to go
            p.register_post_accumulate_grad_hook(
                lambda _, m=model, seen=alive: seen.append(sum(p.grad is not None for p in m.parameters()))
            )
        shell(model.named_parameters(), GradientDescent(lr=0.1))
        model(TOKENS).backward()
        assert max(alive) == expected


@pytest.mark.parametrize("steps", [0, 2])
def test_accumulation_is_refused_also_in_a_loop_that_never_calls_step(steps):
    """A gradient that is applied is gone; k backwards would be k steps in silence (the dossier's T17: 4 times as far for k = 4)."""
    model = Tied()
    optimizer = Fused(model.named_parameters(), GradientDescent(lr=0.1))
    for _ in range(steps):
        model(TOKENS).backward()
        optimizer.step()
    model(TOKENS).backward()
    with pytest.raises(RuntimeError, match=r"got a second gradient before step\(\), in another backward: .* cannot accumulate"):
        model(TOKENS).backward()


def segment(w: Tensor):
    return lambda x: torch.tanh(x @ w)


def checkpointed(*weights: Tensor, use_reentrant: bool) -> Tensor:
    x = normal((3, 4), generator(5)).requires_grad_()
    for w in weights:
        x = checkpoint(segment(w), x, use_reentrant=use_reentrant)
    return x.square().sum()


@pytest.mark.parametrize("in_between", [lambda x: x, lambda x: x.tanh()], ids=["same depth", "deeper"])
def test_reentrant_checkpointing_of_a_shared_tensor_is_refused_at_once(in_between):
    """Each segment is a backward of its own inside the backward, and hands over its part as if it were the whole."""
    w = nn.Parameter(normal((4, 4), generator(1)))
    keep = Fused([("w", w)], GradientDescent(lr=0.1))
    with pytest.raises(RuntimeError, match="w got a second gradient before step.., in the same backward: re-entrant checkpointing"):
        in_between(checkpointed(w, w, use_reentrant=True)).backward()
    assert keep.state[w]["step"] == 1


def test_checkpointing_that_is_right_passes_and_accumulation_over_it_is_told_apart():
    """Non-re-entrant of a shared tensor, re-entrant of unshared ones: the numbers of no checkpoint, and the other refusal."""
    for use_reentrant, n in ((False, 1), (True, 2)):
        w = [nn.Parameter(normal((4, 4), generator(i))) for i in range(n)]
        named = [(str(i), x) for i, x in enumerate(w)]
        Fused(named, GradientDescent(lr=0.1))
        order = [w[0], w[-1]]
        expected = torch.autograd.grad(segment(w[-1])(segment(w[0])(normal((3, 4), generator(5)))).square().sum(), w)
        before = [x.detach().clone() for x in w]
        checkpointed(*order, use_reentrant=use_reentrant).backward()
        for x, start, g in zip(w, before, expected, strict=True):
            torch.testing.assert_close(x.detach(), start - 0.1 * g, rtol=1e-14, atol=1e-15)
        with pytest.raises(RuntimeError, match="in another backward"):
            checkpointed(*order, use_reentrant=use_reentrant).backward()


def test_backwards_over_different_tensors_may_follow_each_other_without_step():
    u, w = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    Fused([("u", u), ("w", w)], GradientDescent(lr=0.5))
    u.sum().backward()
    w.sum().backward()
    assert u.tolist() == w.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("changed", ["in place", "as a new tensor", "as a number"])
@pytest.mark.parametrize("execution", ["plain", "recorded", COMPILED])
def test_a_rate_that_changes_between_two_backwards_is_used(execution, changed):
    """Also between two that make one step together, and in a later group. Powers of 2: no rounding."""
    lr = torch.tensor(0.5) if changed == "in place" else 0.5
    u, v, w = (nn.Parameter(torch.ones(2)) for _ in range(3))
    optimizer = Fused([{"params": [("u", u), ("v", v)]}, {"params": [("w", w)]}], GradientDescent(lr), execution=execution)
    for step in range(3):  # a recorded step is first run as it is written
        for leaf, rate in ((u, 0.5**step), (v, 0.25**step), (w, 0.125**step)):
            for group in optimizer.param_groups:
                if changed == "in place":
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = torch.tensor(rate) if changed == "as a new tensor" else rate
            before = leaf.detach().clone()
            leaf.sum().backward()
            assert torch.equal(leaf, before - rate)
        optimizer.step()


@pytest.mark.parametrize("execution", ["plain", "recorded", COMPILED])
def test_a_second_backward_through_a_moved_weight_is_an_error_of_autograd(execution):
    """The step is written in place under version counting, so stale weights cannot be used in silence (T23b)."""
    model = Tied()
    optimizer = Fused(model.named_parameters(), GradientDescent(lr=0.1), execution=execution)
    for _ in range(3):  # a recorded step is first run as it is written
        loss = model(TOKENS)
        loss.backward(retain_graph=True)
        optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_two_shells_on_one_tensor_are_refused():
    w = nn.Parameter(torch.ones(2))
    Fused([("w", w)], GradientDescent(lr=0.5))
    Fused([("w", w)], GradientDescent(lr=0.5))
    with pytest.raises(RuntimeError, match="the gradient of w was gone before the fused shell saw it"):
        w.sum().backward()


def test_hooks_look_at_their_own_tensor_alone():
    """O(1) per parameter: the same count of calls per hook for 8 tensors and for 64."""
    calls = {}
    for n in (8, 64):
        w = [nn.Parameter(torch.ones(2)) for _ in range(n)]
        keep = Fused([(str(i), x) for i, x in enumerate(w)], GradientDescent(lr=0.1))
        loss, count = sum(x.sum() for x in w), 0

        def tick(frame, event, arg):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(tick)
        try:
            loss.backward()
        finally:
            sys.setprofile(None)
        calls[n] = count / n
        assert keep.state[w[0]]["step"] == 1
    assert calls[64] <= calls[8]  # 8 share the few calls of the whole backward


def test_a_frozen_tensor_has_no_hook_and_a_later_gradient_of_it_is_not_lost():
    w, frozen = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2), requires_grad=False)
    optimizer = Fused([("w", w), ("frozen", frozen)], GradientDescent(lr=0.5))
    (w * frozen).sum().backward()
    optimizer.step()
    assert w.tolist() == [0.5, 0.5] and frozen.tolist() == [1, 1]
    frozen.requires_grad_()
    (w * frozen).sum().backward()
    with pytest.raises(RuntimeError, match="1 gradients were not applied during backward, the first of frozen"):
        optimizer.step()


def test_a_deep_copy_has_hooks_of_its_own():
    model = Tied()
    optimizer = Fused(model.named_parameters(), rules(Adam(lr=0.1)), seed=3)
    model(TOKENS).backward()
    optimizer.step()
    again, copied = copy.deepcopy((model, optimizer))
    for m, o in ((model, optimizer), (again, copied)):
        m(TOKENS).backward()
        o.step()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True))
    assert copied.state[again.hidden]["step"] == optimizer.state[model.hidden]["step"] == 2


def test_step_runs_a_closure_and_moves_nothing_itself():
    model = Tied()
    optimizer = Fused(model.named_parameters(), GradientDescent(lr=0.1))

    def closure() -> Tensor:
        loss = model(TOKENS)
        loss.backward()
        return loss

    before = model(TOKENS).item()
    assert optimizer.step(closure).item() == before
    after = model.hidden.detach().clone()
    optimizer.step()
    assert torch.equal(model.hidden, after)


def test_zero_gradients_that_no_backward_made_fill_a_fresh_state_and_the_next_backward_is_the_first():
    """As torch.distributed.checkpoint does before it loads; the hooks are called by hand, outside of every backward."""
    w = {name: nn.Parameter(normal((3, 3), generator(i))) for i, name in enumerate("ab")}
    optimizer = Fused(w.items(), GradientDescent(lr=0.1, momentum=0.9))
    start = {name: x.detach().clone() for name, x in w.items()}
    for x in w.values():
        x.grad = torch.zeros_like(x)
    optimizer.step()
    assert all(torch.equal(w[name], start[name]) and optimizer.state[w[name]]["step"] == 1 for name in w)
    (w["a"] @ w["b"]).sum().backward()
    optimizer.step()
    assert all(not torch.equal(w[name], start[name]) and optimizer.state[w[name]]["step"] == 2 for name in w)


def test_removed_hooks_leave_gradients_and_step_says_so():
    model = Tied()
    optimizer = Fused(model.named_parameters(), GradientDescent(lr=0.1))
    optimizer.remove()
    before = model.hidden.detach().clone()
    model(TOKENS).backward()
    assert torch.equal(model.hidden, before) and model.hidden.grad is not None
    with pytest.raises(RuntimeError, match="3 gradients were not applied during backward, the first of embedding"):
        optimizer.step()


def test_state_dict_continues_in_the_other_shell():
    """The two shells write the same state: two steps fused, then two stepwise, are four stepwise."""

    def trained_on(model: Tied, optimizer: torch.optim.Optimizer, steps: range) -> dict:
        for k in steps:
            optimizer.zero_grad()
            model(TOKENS.roll(k)).backward()
            optimizer.step()
        return optimizer.state_dict()

    straight, model = Tied(), Tied()
    trained_on(straight, Stepwise(straight.named_parameters(), rules(Adam(lr=0.1))), range(4))
    fused = Fused(model.named_parameters(), rules(Adam(lr=0.1)))
    saved = trained_on(model, fused, range(2))
    fused.remove()
    stepwise = Stepwise(model.named_parameters(), rules(Adam(lr=0.1)))
    stepwise.load_state_dict(saved)
    trained_on(model, stepwise, range(2, 4))
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), straight.parameters(), strict=True))
