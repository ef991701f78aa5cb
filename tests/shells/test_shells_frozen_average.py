"""Averages that cannot move in their dtype are found, and only those; the criterion against the arithmetic of the dtype."""

import pytest
import torch
from torch import nn

from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.averages import towards
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.frozen_average import decays
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise

FROZEN = {
    "v": Adam(0.1),
    "inner.v": GaLore(Adam(0.1), rank=2),
    "m": Adam(0.1, betas=(0.999, 0.99)),
    "b": GradientDescent(0.1, momentum=0.999),
}
MOVING = (
    Adam(0.1, betas=(0.9, 0.99)),
    AdaLomo(0.1),
    AdamMini(0.1, betas=(0.9, 0.99), n_blocks=4),
    GradientDescent(0.1, momentum=0.99),
    RSO(GradientDescent(0.1, momentum=0.9), rank=2, update_gap=3),
)


def shell_of(rule, dtype: torch.dtype, shell=Stepwise, **settings) -> torch.optim.Optimizer:
    return shell([("w", nn.Parameter(torch.ones(8, 100, dtype=dtype)))], rule, **settings)


@pytest.mark.parametrize(
    "dtype, decay, moves",
    [(torch.bfloat16, 0.999, False), (torch.bfloat16, 0.99, True), (torch.float16, 0.9999, False), (torch.float16, 0.999, True)],
)
def test_the_criterion_is_what_the_dtype_does(dtype, decay, moves):
    """An entry 1 whose target has doubled, 1000 times: it moves exactly where 1 - b > eps / 2."""
    x = torch.ones(1, dtype=dtype)
    for _ in range(1000):
        x = towards(x, torch.full((1,), 2.0, dtype=dtype), 1 - decay)
    assert (x.item() > 1) == moves == (1 - decay > torch.finfo(dtype).eps / 2)


@pytest.mark.parametrize("shell", [Stepwise, Fused])
@pytest.mark.parametrize("leaf", FROZEN)
def test_a_frozen_average_is_named_with_the_remedy(leaf, shell):
    message = (
        f"the average '{leaf}' of w has decay 0.999 in torch.bfloat16, .* 0.0039 of itself, .* state_dtype=torch.float32, .* at most 0.99$"
    )
    with pytest.raises(ValueError, match=message):
        shell_of(FROZEN[leaf], torch.bfloat16, shell)
    shell_of(FROZEN[leaf], torch.bfloat16, shell, state_dtype=torch.float32)
    shell_of(FROZEN[leaf], torch.float32, shell)


@pytest.mark.parametrize("eta", [None, 1.0])
def test_it_is_found_in_a_frame_that_accumulates_its_steps(eta):
    """B is a sum and not an average; with a prox term it also turns the gradient that the inner rule sees."""
    rule = WeightDecay(RSO(Adam(0.1), rank=2, update_gap=3, **({} if eta is None else {"eta": eta})), weight_decay=0.1)
    with pytest.raises(ValueError, match="the average 'inner.v' of w has decay 0.999"):
        shell_of(rule, torch.bfloat16)


def test_blocks_that_need_all_rows_are_measured_too():
    with pytest.raises(ValueError, match="the average 'v' of w has decay 0.999"):
        shell_of(AdamMini(0.1, n_blocks=8), torch.bfloat16)
    with pytest.raises(ValueError, match="the average 'inner.v' of w has decay 0.999"):
        Stepwise([("w", nn.Parameter(torch.ones(100, 100, dtype=torch.bfloat16)))], GaLore(Adam(0.1), rank=90))


@pytest.mark.parametrize("rule", MOVING, ids=repr)
def test_what_moves_is_accepted(rule):
    optimizer = shell_of(rule, torch.bfloat16)
    w = optimizer.param_groups[0]["params"][0]
    w.grad = torch.ones_like(w)
    before = w.detach().clone()
    optimizer.step()
    assert torch.isfinite(w).all() and not torch.equal(w, before)


def test_a_slow_average_that_the_rule_keeps_in_float32_is_accepted():
    """Only the dtype of the leaf counts: Adam's first moment may stay in bfloat16 beside a wide second one."""

    class Wide(Adam):
        def init(self, w):
            state = super().init(w)
            return state._replace(v=state.v.float())

        def step(self, g, state, w):
            delta, state = super().step(g.float(), state._replace(m=state.m.float()), w.float())
            return delta.to(w.dtype), state._replace(m=state.m.to(w.dtype))

    optimizer = shell_of(Wide(0.1), torch.bfloat16)
    w = optimizer.param_groups[0]["params"][0]
    w.grad = torch.ones_like(w)
    optimizer.step()
    assert {key: optimizer.state[w][key].dtype for key in ("m", "v")} == {"m": torch.bfloat16, "v": torch.float32}


def test_float16_has_a_finer_unit():
    shell_of(Adam(0.1, eps=1e-4), torch.float16)
    with pytest.raises(ValueError, match="decay 0.9999 in torch.float16, .* at most 0.999$"):
        shell_of(Adam(0.1, betas=(0.9, 0.9999), eps=1e-4), torch.float16)


def test_decays_of_all_levels_are_read():
    assert decays(GaLore(Adam(0.1, betas=(0.8, 0.99)), rank=2)) == (0.8, 0.99)
    assert decays(GradientDescent(0.1, momentum=0.5))[:1] == (0.5,)


def test_a_rule_whose_small_steps_are_not_finite_in_float16_is_refused():
    """g = 1e-5: g^2 = 1e-10 and eps = 1e-8 are 0 there, so Adam would divide by 0. A float32 state, or an eps that float16 has, is fine."""
    w = nn.Parameter(torch.ones(4, 4, dtype=torch.float16))
    for rule in (Adam(0.1), GaLore(Adam(0.1), rank=2)):
        with pytest.raises(
            ValueError, match="1e-05 of w makes a step of .* not finite in torch.float16, .* give state_dtype=torch.float32"
        ):
            Stepwise([("w", w)], rule)
    for rule, dtype in ((Adam(0.1), torch.float32), (Adam(0.1, eps=1e-4), None)):
        w.grad = torch.full_like(w, 1e-5)
        Stepwise([("w", w)], rule, state_dtype=dtype).step()
        assert w.isfinite().all() and (w != 1).all()
