"""LOMO's claim: the fused shell gives the bits of the stepwise shell while at most one gradient is alive."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sandbox.draws import generator, normal
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise


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


def test_a_second_gradient_before_step_is_refused():
    model = Tied()
    optimizer = Fused(model.named_parameters(), GradientDescent(lr=0.1))
    for _ in range(2):
        model(TOKENS).backward()
        optimizer.step()
    model(TOKENS).backward()
    with pytest.raises(RuntimeError, match=r"got a second gradient before step\(\): .* cannot accumulate"):
        model(TOKENS).backward()


def test_a_loop_that_never_calls_step_takes_every_backward_for_one():
    called, silent = trained(Fused, GradientDescent(lr=0.1), 1)[0], Tied()
    keep = Fused(silent.named_parameters(), rules(GradientDescent(lr=0.1)))
    model_loss = silent(TOKENS)
    model_loss.backward()
    assert torch.equal(called.hidden, silent.hidden)
    silent(TOKENS).backward()
    assert keep.state[silent.hidden]["step"] == 2


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
