"""Numbers summed over ranks against gradients that backward leaves, and bytes over the bus against bytes that are there."""

import pytest
import torch

from sandbox.memory.architectures import LLAMA_2_7B, llama_shapes
from sandbox.memory.communication import coefficients_of, coefficients_summed, gradients_summed, losses_summed
from sandbox.memory.meters import state_bytes
from sandbox.memory.offload import Traffic, offload
from sandbox.memory.subspace import summed_over_ranks
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build, shapes_of
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.subspace import Subspace

CONFIG = GPTConfig(vocab=7, width=12, layers=1, heads=2, context=5, tied=False)


def of_blocks(rule) -> dict:
    return {n: rule if len(s) == 2 and n.startswith("blocks.") else Adam(0.1) for n, s in shapes_of(CONFIG).items()}


def test_gradients_and_coefficients_are_those_that_backward_leaves():
    """All entries in an ordinary model; with RSO layers 9 nr for the block's matrices, and everything else whole."""
    shapes, rules = shapes_of(CONFIG), of_blocks(RSO(Adam(0.1), 3, 10))
    for compressed in (False, True):
        model = build(CONFIG, 0)
        Subspace(model, rules) if compressed else None
        model(torch.zeros(1, 5, dtype=torch.long)).sum().backward()
        left = sum(p.grad.numel() for p in model.parameters())
        assert left == (coefficients_summed(shapes, rules) if compressed else gradients_summed(shapes))
    compressed = {name: 3 for name, rule in rules.items() if isinstance(rule, RSO)}
    assert left == summed_over_ranks(shapes, compressed)
    assert gradients_summed(shapes) - left == 12 * 12**2 - 9 * 12 * 3


@pytest.mark.parametrize(
    ("rule", "shape", "expected"),
    [
        (GoLore(Adam(0.1), 2), (6, 10), 20),  # r times the long side
        (GoLore(Adam(0.1), 2, update_gap=5, random_from=10), (6, 10), 20 + 12),  # and the whole gradient every fifth step
        (GaLore(Adam(0.1), 2, update_gap=10), (10, 6), 20 + 6),
        (GaLore(Adam(0.1), 2, update_gap=10, side="both"), (10, 6), 4 + 6),
        (I3S(Adam(0.1), 2, update_gap=10), (10, 6), 20 + 6),
        (RSO(Adam(0.1), 2, 5, side=0), (10, 6), 12),
        (WeightDecay(RSO(Adam(0.1), 2, 5), 0.1), (10, 6), 20),
        (GWT(Adam(0.1), 1), (10, 6), 60),
        (SGC(Adam(0.1), 2, 4), (10, 6), 60),
    ],
    ids=lambda x: getattr(type(x), "__name__", "") if not isinstance(x, tuple | int) else "",
)
def test_counts_on_paper(rule, shape, expected):
    assert coefficients_of(rule, shape) == expected


def test_a_two_point_step_sums_one_number_a_direction():
    assert losses_summed(5) == 5


def test_the_state_crosses_the_bus_twice_or_gradient_and_weight_once():
    shapes = {"w": (6, 10), "b": (6,)}
    state = sum(state_bytes(Adam(0.1).init(torch.zeros(shape))) for shape in shapes.values())
    assert offload(shapes, Adam(0.1), update="on the GPU") == Traffic(state, state)
    assert offload(shapes, Adam(0.1), element=2) == Traffic(2 * 66, 2 * 66)
    assert offload(shapes, Adam(0.1), element=2, update="on the GPU") == Traffic(state, state)  # float32 states beside bfloat16 weights


def test_seven_billion_parameters_over_a_stated_bus():
    """Adam's 53.9 GB at 25e9 bytes/s: 2.16 s each way; AdaLomo's 11.4 MB, less than a thousandth of the bfloat16 gradients."""
    shapes = llama_shapes(LLAMA_2_7B)
    adam = offload(shapes, Adam(1e-4), update="on the GPU")
    assert adam.seconds(25e9) == pytest.approx(2.156, abs=0.001)  # 8 x 6.738e9 / 25e9
    assert adam.seconds(25e9, "one at a time") == pytest.approx(2 * adam.seconds(25e9))
    lomo = offload(shapes, AdaLomo(1e-4), element=2, update="on the GPU")
    assert lomo.to_gpu < offload(shapes, AdaLomo(1e-4), element=2).to_cpu / 1000
    assert Traffic(10, 4).seconds(2.0) == 5 and Traffic(10, 4).seconds(2.0, "one at a time") == 7


def test_a_bus_without_bandwidth_is_an_error():
    with pytest.raises(ValueError, match="bandwidth must be > 0 bytes per second, got 0; PCIe 4"):
        Traffic(1, 1).seconds(0)
