"""Timelines: kept and freed gradients from one record, formulas met to the byte, and depths told from two shallower models."""

from dataclasses import replace

import pytest
import torch

from sandbox.draws import generator
from sandbox.memory.activations import Pass
from sandbox.memory.allocator import allocations
from sandbox.memory.live import Mark, Size, live_peak
from sandbox.memory.passes import Program, _backprop, backprop, batch_bytes, fake_ranks, forward_only
from sandbox.memory.timeline import Parts, Segment, extrapolated, held_gradients, timeline
from sandbox.memory.training import next_token_loss
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build, shapes_of
from sandbox.models.llama import LlamaConfig

GPT, LLAMA = (family(60, width=32, layers=8, heads=4, context=16) for family in (GPTConfig, LlamaConfig))


def program(config, **kw) -> Program:
    sizes = dict(layers=config.layers, vocab=config.vocab, sequences=2, tokens=16)
    return Program(lambda depth: replace(config, layers=depth).module(), **sizes | kw)


def test_a_record_by_hand():
    """a (10) is kept, b (4) is not; the gradient (6) of x is born in backward, and c (3) after it."""
    events = [
        Size(1, 10, "other"), Size(2, 4, "other"), Size(2, 0, "other"), Mark("loss"),
        Size(3, 6, "other"), Size(1, 0, "other"), Mark("blocks.0.x", 3), Size(3, 0, "other"), Size(4, 3, "communication"), Mark("end"),
    ]  # fmt: skip
    none = Parts()
    assert timeline(events, "blocks.") == (
        Segment("loss", None, freed=Parts(saved=10, other=4), held=Parts(saved=10, other=4), at_end=Parts(saved=10)),
        Segment("blocks.*.x", 0, Parts(saved=10, other=6), Parts(saved=10, other=6), Parts(other=6), adds=6),
        Segment("end", None, freed=Parts(other=6), held=Parts(communication=3), at_end=Parts(communication=3)),
    )
    assert held_gradients(timeline(events, "blocks.")) == [0, 0, 6] and none.total == 0


@pytest.mark.parametrize("config", [GPT, LLAMA], ids=["gpt", "llama"])
def test_what_forward_keeps_is_the_formula(config):
    """To the byte: the batch and the loss itself are in the formula and were there before, or are counted with it."""
    line, run = backprop(program(config), all_layers=True)
    loss = next(s for s in line if s.name == "loss")
    expected = Pass(config, 2, 16)
    shared = expected.batch - 4  # the tokens were there before; the mean loss is one number more, which nothing keeps
    assert loss.at_end == Parts(saved=expected.saved - shared) and run == config.layers


@pytest.mark.parametrize("config", [GPT, LLAMA], ids=["gpt", "llama"])
def test_peak_of_forward_and_backward_is_that_of_the_allocator(config):
    """Fake tensors against real ones, gradients kept: 1 %, for 0-dim tensors and what kernels take inside."""
    line, _ = backprop(program(config))
    told = max(s.held.total + g for s, g in zip(line, held_gradients(line), strict=True))
    model = build(config, 0)
    tokens = torch.randint(config.vocab, (2, 17), generator=generator(0))
    assert told == pytest.approx(allocations(lambda: next_token_loss(model, tokens)().backward()).peak, rel=0.01)


@pytest.mark.parametrize(
    "kw", [{}, dict(recompute="blocks"), dict(world=4, compute=torch.bfloat16)], ids=["plain", "recomputed", "sharded"]
)
def test_a_deep_model_is_told_from_two_shallow_ones(kw):
    deep = program(LLAMA, **kw)
    whole, run = backprop(deep, all_layers=True)
    assert backprop(deep) == (whole, 5) and run == 8


def test_recomputed_blocks_keep_their_inputs_alone():
    """u a block in the place of all that a block keeps, and the angles, which all blocks share."""
    kept = {way: next(s for s in backprop(program(LLAMA, recompute=way))[0] if s.name == "loss").at_end.saved for way in ("off", "blocks")}
    x = Pass(LLAMA, 2, 16)
    assert kept["off"] - kept["blocks"] == LLAMA.layers * (x.block - x.stream)


@pytest.mark.parametrize("world", [2, 3, 5])
def test_gradients_of_a_sharded_model_are_shards_in_float32(world):
    """Each group is reduced into one buffer, whose parts are padded to the rows of the first rank."""
    line, _ = backprop(program(GPT, world=world, compute=torch.bfloat16))
    shards = [-(-shape[0] // world) * (shape[1] if len(shape) > 1 else 1) for shape in shapes_of(GPT).values()]
    assert sum(s.adds for s in line) == 4 * sum(shards)


def test_two_blocks_are_gathered_at_a_time():
    """What FSDP2 holds of gathered weights does not grow with depth: the root, and a block or two with their buffers."""
    line, _ = backprop(program(GPT, world=4, compute=torch.bfloat16))
    sizes = {name: 2 * torch.Size(shape).numel() for name, shape in shapes_of(GPT).items()}
    block = sum(size for name, size in sizes.items() if name.startswith("blocks.0."))
    root = sum(size for name, size in sizes.items() if not name.startswith("blocks."))
    forward = [s.freed.communication for s in line if s.name == "blocks.*.forward"]
    assert len(set(forward[1:-1])) == 1 and root + block <= forward[2] <= root + 4 * block


def test_a_model_whose_blocks_differ_is_run_whole():
    """A block of another width of its feed-forward layer: nothing is extrapolated, and nothing refused."""

    def uneven(depth: int) -> torch.nn.Module:
        model = replace(GPT, layers=depth).module()
        for i in range(depth):
            model.blocks[i].ffn = replace(GPT, layers=1, ffn=8 * (i + 1) ** 2).module().blocks[0].ffn
        return model

    odd = replace(program(GPT), build=uneven)
    assert backprop(odd)[1] == GPT.layers
    with pytest.raises(ValueError, match="must add alike"):
        extrapolated(_backprop(odd, 4), _backprop(odd, 5), 5, 8)


def test_too_few_blocks_tell_nothing():
    with pytest.raises(ValueError, match="from 5 on, not one of 9"):
        extrapolated((), (), 4, 9)


def test_forward_alone_keeps_nothing_and_sees_one_copy_of_a_weight():
    line, _ = forward_only(program(GPT))
    ends = {s.at_end.total for s in line if s.name == "blocks.*.forward"}
    assert len(ends) == 1 and line[-1].at_end.total == 0
    largest = max(4 * torch.Size(shape).numel() for shape in shapes_of(GPT).values())
    assert max(s.freed.total for s in line) >= largest


def test_sizes_are_rounded_up_to_the_granule_of_an_allocator():
    assert live_peak(lambda: [torch.empty(1), torch.empty(129)], granule=512) == 512 + 1024
    assert live_peak(lambda: [torch.empty(1), torch.empty(129)]) == 4 + 516


def test_weights_that_were_there_before_do_not_count():
    w = torch.ones(1000)
    assert live_peak(lambda: w.view(10, 100).t()) == 0 and live_peak(lambda: w + 1) == 4000


def test_dtypes_differ_only_where_something_gathers():
    with pytest.raises(ValueError, match="in the dtype of its weights"):
        program(GPT, compute=torch.bfloat16)


def test_a_process_that_is_in_a_group_is_refused():
    with fake_ranks(2), pytest.raises(ValueError, match="leave torchrun out"), fake_ranks(2):
        pass


def test_the_batch_has_a_token_more_than_are_read():
    assert batch_bytes(program(GPT)) == 8 * 2 * 17


def test_a_storage_that_was_empty_before_counts_when_it_is_filled():
    """As FSDP2 fills the storages of gathered weights: one that is known to an operation first, and one that is not."""
    w = torch.zeros(1000)
    storage = w.untyped_storage()
    storage.resize_(0)
    assert live_peak(lambda: storage.resize_(4000)) == 4000
    assert live_peak(lambda: storage.resize_(0)) == 0
    assert live_peak(lambda: (w.view(10, 100), storage.resize_(4000), storage.resize_(0), storage.resize_(800))) == 4000
