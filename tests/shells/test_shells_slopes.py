"""Slopes that the in-place shell cannot use: refused before a weight moves, and nothing poisoned where they are left out.

Independent channels: the numbers that are added are drawn whole and looked at; the second moment of Adam itself; the allocator.
"""

import pytest
import torch
from torch import nn

from sandbox.memory.allocator import allocations
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.subzero import SubZero, alignment, subspace
from sandbox.oracles.block_wise import BlocksAtOnce
from sandbox.oracles.two_point import TwoPoint
from sandbox.perturbations.directions import Directions, Draws, Probe
from sandbox.perturbations.in_chunks import InChunks
from sandbox.perturbations.low_rank import LowRank
from sandbox.perturbations.masks import MagnitudeMask, RandomMask
from sandbox.shells.gradients import limit
from sandbox.shells.in_place import InPlace
from sandbox.shells.rounding import Precision

SIGNS, MOVING = Directions("rademacher"), Adam(0.125, betas=(0.5, 0.5), eps=2**-10)  # averages that move in every dtype
LARGE = {torch.float32: 2.0**63, torch.bfloat16: 2.0**63, torch.float16: 2.0**8}  # 16 squares, of which float16 sums none
each_dtype = pytest.mark.parametrize("dtype", LARGE, ids=str)


def made(dtype=torch.float32, rule=MOVING, *, directions=SIGNS, n=2, size=16, **rest):
    w = nn.Parameter(torch.ones(size, dtype=dtype))
    return w, InPlace([("w", w)], rule, TwoPoint(n=n, directions=directions), **rest)


@pytest.mark.parametrize("mask", [None, RandomMask(0.9), MagnitudeMask(0.5)], ids=str)
@pytest.mark.parametrize("law", ["gaussian", "sphere", "rademacher", "low rank"])
def test_no_number_is_beyond_the_bound(law, mask):
    """Signs attain it. On the sphere it grows with what gave z its length."""
    low_rank = LowRank(SubZero(GradientDescent(1.0), rank=2), subspace, alignment, seed=0).at(0) if law == "low rank" else None
    directions = Directions("rademacher" if low_rank else law, mask, low_rank)
    params = {"matrix": torch.linspace(-1, 1, 1200).double().reshape(40, 30), "pair": torch.ones(2, dtype=torch.float64)}
    probes = [Probe({"matrix": 0, "pair": 1}, 0), Probe({"pair": 1}, 1)]
    here = InChunks(Draws(directions, 3), probes, params)
    for i, name in ((0, "matrix"), (0, "pair"), (1, "pair")):
        largest = float(here.combined(name, params[name], {i: 1.0}).abs().max())
        assert largest <= here.largest(i, name, params[name])
    if law == "sphere" and mask is None:
        drawn = Draws(directions, 3).whole(probes[1], "pair", (2,))
        assert here.largest(1, "pair", params["pair"]) == pytest.approx(16 * 2**0.5 / float(drawn.norm()), rel=1e-14)
    if law == "rademacher":
        assert here.largest(0, "matrix", params["matrix"]) == 1.0
    if law == "low rank":  # signs in a core of 2 x 2: |Z|_F = 2, mu = sqrt(1200) / 2
        assert here.largest(0, "matrix", params["matrix"]) == pytest.approx(1200**0.5, rel=1e-14)
        assert here.largest(0, "pair", params["pair"]) == 1.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
@each_dtype
def test_raise_names_tensor_and_slope_and_moves_nothing(dtype, sign):
    """The first tensor could move: in float64 the same slope has a square."""
    first, w = nn.Parameter(torch.ones(3, dtype=torch.float64)), nn.Parameter(torch.ones(16, dtype=dtype))
    optimizer = InPlace([("first", first), ("w", w)], MOVING, TwoPoint(n=2, directions=SIGNS))
    with pytest.raises(
        FloatingPointError, match=f"1 of 2 .* at step 0: .* direction 1, .* gives w a gradient whose squares have no finite sum in {dtype}"
    ):
        optimizer.apply((1.0, sign * LARGE[dtype]))
    assert (first == 1).all() and (w == 1).all() and not optimizer.state
    optimizer.apply((1.0, 1.0))
    assert w.isfinite().all() and not (w == 1).all()


@each_dtype
def test_skip_leaves_out_the_step_and_zero_the_direction(dtype):
    (kept, skipping), (w, zeroing), (control, plain) = (made(dtype, nonfinite=policy) for policy in ("skip", "zero", "raise"))
    skipping.apply((1.0, LARGE[dtype]))
    assert (kept == 1).all() and skipping.skipped == 1
    zeroing.apply((1.0, LARGE[dtype]))
    plain.apply((1.0, 0.0))
    assert torch.equal(w, control) and not (w == 1).all() and zeroing.skipped == 0


@each_dtype
def test_pass_poisons_the_second_moment(dtype):
    """The control: from a slope four times as large on, where each square overflows, no number of v is ever finite again."""
    w, optimizer = made(dtype, n=1, nonfinite="pass")
    optimizer.apply((4 * LARGE[dtype],))
    for _ in range(3):
        assert not optimizer.state[w]["v"].isfinite().any()
        optimizer.apply((1.0,))


@pytest.mark.parametrize("n", [1, 2])
@each_dtype
def test_signs_are_usable_up_to_the_limit_and_not_at_it(dtype, n):
    """16 = 4^2 entries: at the limit their squares have no finite sum, one unit in the last place below it they have."""
    at = limit(dtype, 16) / n
    w, optimizer = made(dtype, n=n, nonfinite="skip")
    optimizer.apply((at,) * n)
    assert optimizer.skipped == 1
    optimizer.apply((at * (1 - torch.finfo(dtype).eps / 2),) * n)
    assert optimizer.skipped == 1 and optimizer.state[w]["v"].isfinite().all()


def test_a_slope_is_judged_by_the_gradient_and_not_by_the_bound():
    """16 x 40 > 256, but no number of these is as large as 6: the step is made, with the bits of a shell that does not look."""
    (looked, careful), (control, blind) = (
        made(torch.float16, directions=Directions(), n=1, size=1000, nonfinite=policy) for policy in ("raise", "pass")
    )
    for optimizer in (careful, blind):
        optimizer.apply((40.0,))
    assert torch.equal(looked, control) and careful.state[looked]["v"].isfinite().all()


def test_every_direction_of_a_tensor_has_its_share():
    """Two of 1.5 x 2^61 along the same 16 signs have a sum of squares, two that are twice as large have none; a block alone has."""
    w = {name: nn.Parameter(torch.ones(16)) for name in "ab"}
    blocks = InPlace(w.items(), MOVING, BlocksAtOnce((("a",), ("b",)), TwoPoint(directions=SIGNS)), nonfinite="skip")
    (_, both) = made(nonfinite="skip")
    for optimizer, expected in ((both, 1), (blocks, 0)):
        optimizer.apply((1.5 * 2.0**60,) * 2)
        assert optimizer.skipped == 0
        optimizer.apply((1.5 * 2.0**61,) * 2)
        assert optimizer.skipped == expected


def test_the_first_of_several_bad_directions_is_named():
    _, optimizer = made(n=3)
    with pytest.raises(
        FloatingPointError, match="2 of 3 directions cannot be used at step 0: the slope along direction 1, -1e\\+30, gives w"
    ):
        optimizer.apply((1.0, -1e30, float("nan")))


def test_a_state_in_float64_takes_the_slope():
    w, optimizer = made(precision=Precision(torch.float64))
    optimizer.apply((2.0**64, 2.0**64))
    assert w.isfinite().all() and optimizer.state[w]["v"].isfinite().all()


def test_the_look_holds_one_gradient():
    """Four tensors of 1 MiB, and a Gaussian slope that the bound does not clear: no more than moving one of them takes."""
    w = {name: nn.Parameter(torch.ones(1 << 18)) for name in "abcd"}
    optimizer = InPlace(w.items(), GradientDescent(2.0**-60), TwoPoint())
    looked = 2.0 ** (55 - 4)  # times 16 the limit, of which the bound clears half; the numbers themselves end before 8
    assert limit(torch.float32, 1 << 18) == 2.0**55
    unlooked = allocations(lambda: optimizer.apply((1.0,))).peak
    assert allocations(lambda: optimizer.apply((looked,))).peak <= unlooked
