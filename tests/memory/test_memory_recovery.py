"""Steps of SGC, SGCAdam and CESGC: formula = the allocator's record, where measuring and recovering decide in turn, also narrow."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.memory.allocator import allocations
from sandbox.memory.recovery import recovery
from sandbox.memory.temporaries import temporaries_of
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.orthogonal_matching_pursuit import recover
from sandbox.optimizers.sgc import SGC, unit_columns
from sandbox.optimizers.sgc_adam import SGCAdam
from sandbox.shells.stepwise import Stepwise

ADAM = Adam(0.1, betas=(0.9, 0.98))  # bfloat16 has no longer average
SIZES = {  # sparsity, measurements, chunks
    "a matrix of measurements alone": (4, 16, 1),
    "many columns, few kept": (16, 512, 16),
    "few columns": (8, 64, 4),
    "half of a chunk kept": (256, 512, 16),
    "rows": (256, 1024, 64),
}
DTYPES = {torch.float32: 4, torch.float64: 8, torch.bfloat16: 2}  # a side below 16 is left out: CPU products in bfloat16 then take scratch
SHAPES = ((64, 96), (160, 64))


def seen(rule, shape, dtype) -> int:
    """Most bytes of two steps beside weight, gradient and state."""
    w = torch.nn.Parameter(normal(shape, generator(0)).to(dtype))
    w.grad = normal(shape, generator(1)).to(dtype)
    optimizer = Stepwise([("w", w)], rule)
    record = allocations(lambda: (optimizer.step(), optimizer.step()))
    return record.peak - record.left


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("moments", ["inside", "apart"])
def test_a_step_takes_what_the_formula_says(moments, sizes, dtype):
    """16 bytes: numbers without a side, such as learning rates."""
    s, k, c = SIZES[sizes]
    rule = SGC(ADAM, s, k, c) if moments == "inside" else SGCAdam(0.1, s, k, (0.9, 0.98), chunks=c)
    for shape in SHAPES:
        assert temporaries_of(rule, shape, DTYPES[dtype]) == pytest.approx(seen(rule, shape, dtype), abs=16)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sizes", ["a matrix of measurements alone", "few columns", "rows"])
def test_a_step_on_a_gradient_cut_down(sizes, dtype):
    """The decomposition decides or the step inside; both sides. 16 bytes, as above."""
    for shape in SHAPES:
        rule = CESGC(SGC(ADAM, *SIZES[sizes]), 32)
        assert temporaries_of(rule, shape, DTYPES[dtype]) == pytest.approx(seen(rule, shape, dtype), abs=16)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_narrow_gradient_is_made_finite_before_it_is_made_wide(shape):
    """GaLore in bfloat16: two bytes an entry more than the same in float32."""
    rule = GaLore(ADAM, 4, 1)
    assert temporaries_of(rule, shape, 2) == pytest.approx(seen(rule, shape, torch.bfloat16), abs=16)
    assert temporaries_of(rule, shape, 2) - temporaries_of(rule, shape, 4) == 2 * shape[0] * shape[1]


@pytest.mark.parametrize(("d", "k", "s"), [(256, 64, 8), (64, 48, 40)])
def test_the_recovery_alone(d, k, s):
    """Scores of all entries decide, or the columns: what the call has beside the matrix, its answer deducted from neither. 24 bytes."""
    A, y = unit_columns(normal((k, d), generator(0))).float(), normal((3, k), generator(1)).float()
    record = allocations(lambda: recover(A, y, s))
    assert recovery(SGC(ADAM, 3 * s, 3 * k, 3), 3 * d, 4) == pytest.approx(record.peak, abs=24)
