"""bfloat16: float32 states, and the stochastic write against the definition of unbiased rounding."""

import pytest
import torch
from torch import nn

from sandbox.draws import generator, normal
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.fused import Fused
from sandbox.shells.rounding import stochastic
from sandbox.shells.stepwise import Stepwise

N = 1 << 16
SIGMAS = 5  # of a mean over N independent draws; the seeds are fixed, so this is met or not met for ever


def neighbours(x: float) -> tuple[float, float]:
    """The bfloat16 numbers around x, by counting in units of the last place: 8 bits of fraction, the first hidden."""
    unit = 2.0 ** (torch.tensor(abs(x)).log2().floor().item() - 7)
    return (x // unit) * unit, (x // unit) * unit + unit


@pytest.mark.parametrize("x", [1.0 + 2**-9, 1.001, -1.001, 3.14159, -2.5e-3, 1e-30, 65504.3, 0.99999])
def test_the_result_is_a_neighbour_and_its_mean_the_number(x):
    exact = torch.full((N,), x, dtype=torch.float32)
    got, (low, high) = stochastic(exact, 1, 2).double(), neighbours(exact[0].item())
    assert set(got.unique().tolist()) <= {low, high} and torch.equal(got.bfloat16().double(), got)
    p = (exact[0].double() - low) / (high - low)
    sigma = (high - low) * (p * (1 - p) / N) ** 0.5
    assert abs(got.mean() - exact[0].double()) <= SIGMAS * sigma


def test_what_is_representable_stays_and_what_is_not_finite_too():
    x = torch.tensor([0.0, -0.0, 1.0, -1.5, 2.0**-126, torch.inf, -torch.inf])
    assert torch.equal(stochastic(x, 3), x)
    all_ones = torch.tensor([0x7FFFFFFF, -1], dtype=torch.int32).view(torch.float32)  # nan, where a carry would run over the sign
    assert stochastic(all_ones.repeat(100), 4).isnan().all()


def test_draws_are_keyed_and_no_global_seed_is_read_or_moved():
    x, before = torch.full((64,), 1.001), torch.get_rng_state()
    assert torch.equal(stochastic(x, 0, 1, 2), stochastic(x, 0, 1, 2))
    assert all(not torch.equal(stochastic(x, 0, 1, 2), stochastic(x, *other)) for other in ((1, 1, 2), (0, 2, 2), (0, 1, 3)))
    assert torch.equal(torch.get_rng_state(), before)


def progress(rounding: str, shell=Stepwise) -> tuple[float, nn.Parameter]:
    """How much of 200 steps of 1e-4 from 1 downwards arrives; half a unit in the last place below 1 is 2e-3."""
    w = nn.Parameter(torch.ones(4096, dtype=torch.bfloat16))
    optimizer = shell([("w", w)], GradientDescent(lr=1e-4), state_dtype=torch.float32, rounding=rounding)
    for _ in range(200):
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()
    return (1 - w.double().mean().item()) / (200 * 1e-4), w


@pytest.mark.parametrize("shell", [Stepwise, Fused])
def test_small_steps_arrive_on_average_where_nearest_rounding_loses_all(shell):
    """T19 of the dossier. Each step carries one entry in 39 by 2^-8, so the sum of 200 has sigma 0.0088 per entry and 1.4e-4
    for the mean: 0.7 % of the way.
    """
    assert progress("nearest", shell)[0] == 0.0
    assert progress("stochastic", shell)[0] == pytest.approx(1.0, abs=SIGMAS * 0.007)


def test_positions_and_steps_have_draws_of_their_own():
    w = {key: nn.Parameter(torch.ones(256, dtype=torch.bfloat16)) for key in "ab"}
    optimizer, seen = Stepwise(w.items(), GradientDescent(lr=1e-3), state_dtype=torch.float32, rounding="stochastic"), []
    for _ in range(2):
        before = {key: x.detach().clone() for key, x in w.items()}
        for x in w.values():
            x.grad = torch.ones_like(x)
        optimizer.step()
        seen += [w[key].detach() - before[key] != 0 for key in w]
    assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_a_float32_weight_is_written_as_ever():
    """In a model of both, the norms for example."""
    written = []
    for rounding in ("nearest", "stochastic"):
        w = nn.Parameter(normal((8, 8), generator(0)).float())
        optimizer = Stepwise([("w", w)], Adam(lr=0.01), rounding=rounding)
        w.grad = normal((8, 8), generator(1)).float()
        optimizer.step()
        written.append(w.detach())
    assert torch.equal(*written)


@pytest.mark.parametrize("rule", [Adam(0.01), AdaLomo(0.01), GradientDescent(0.01, momentum=0.9)], ids=lambda r: type(r).__name__)
def test_the_rule_sees_float32_and_the_weight_is_rounded_once_a_step(rule):
    """Against a loop over the rule itself that casts by hand."""
    w = nn.Parameter(normal((6, 5), generator(0)).bfloat16())
    expected, optimizer = w.detach().clone(), Stepwise([("w", w)], rule, state_dtype=torch.float32)
    state = rule.init(expected.float())
    for k in range(6):
        w.grad = normal((6, 5), generator(1, k)).bfloat16()
        delta, state = rule.step(w.grad.float(), state, expected.float())
        expected = (expected.float() + delta).bfloat16()
        optimizer.step()
    assert torch.equal(w, expected)
    assert {x.dtype for x in optimizer.state[w].values() if torch.is_tensor(x)} == {torch.float32}


def test_loading_restores_float32_states_beside_bfloat16_weights():
    w = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    first, second = (Stepwise([("w", w)], Adam(lr=0.1), state_dtype=torch.float32) for _ in range(2))
    w.grad = torch.full((3,), 0.3, dtype=torch.bfloat16)
    first.step()
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.state[w]["v"], first.state[w]["v"]) and second.state[w]["v"].dtype == torch.float32


def test_settings_that_cannot_be_met_are_refused():
    half, brain, single = (nn.Parameter(torch.ones(2, dtype=d)) for d in (torch.float16, torch.bfloat16, torch.float32))
    with pytest.raises(ValueError, match="must hold every number of the weight, got torch.bfloat16 for w in torch.float32"):
        Stepwise([("w", single)], AdaLomo(0.1), state_dtype=torch.bfloat16)
    with pytest.raises(ValueError, match="must hold every number of the weight, got torch.float16 for w in torch.bfloat16"):
        Stepwise([("w", brain)], AdaLomo(0.1), state_dtype=torch.float16)
    with pytest.raises(ValueError, match="stochastic rounding is for bfloat16 weights, got w in torch.float16"):
        Stepwise([("w", half)], AdaLomo(0.1), rounding="stochastic")
    with pytest.raises(ValueError, match="rounding must be one of nearest, stochastic, got 'up'"):
        Stepwise([("w", brain)], AdaLomo(0.1), rounding="up")
    with pytest.raises(ValueError, match="state_dtype must be a floating dtype, got torch.int32"):
        Stepwise([("w", brain)], AdaLomo(0.1), state_dtype=torch.int32)
