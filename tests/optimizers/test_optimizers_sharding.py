"""On plain tensors: each function gives back what it was given, and sums are sums, of one tensor as of several.

On sharded ones: tests/shells/test_shells_sharded.py, and one process in tests/shells/test_shells_lockstep.py.
"""

import pytest
import torch

from sandbox.optimizers.sharding import like, local, placed, placements, replicate, resolve, sums


def test_a_plain_tensor_stays_what_it_is():
    x, w = torch.ones(3, 2), torch.zeros(3, 2, dtype=torch.float64)
    assert resolve(x) is replicate(x) is local(x) is placed(x, w) is like(x, x) is x and not placements(x)
    assert like(x, w).dtype == torch.float64 and like(x, w, torch.bfloat16).dtype == torch.bfloat16


@pytest.mark.parametrize("count", [1, 2, 3])
def test_sums_are_those_of_each(count):
    """Small whole numbers: exact in every dtype. Two dtypes do not share a sum."""
    xs = [torch.arange(4.0), torch.full((2, 3), 2.0, dtype=torch.float64), torch.tensor(-5.0)][:count]
    found = sums(xs)
    assert found == [6.0, 12.0, -5.0][:count] and all(type(x) is float for x in found)
