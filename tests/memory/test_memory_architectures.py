"""Shapes of published models against their published parameter counts and against a real module without numbers."""

import pytest

from sandbox.memory.architectures import (
    LLAMA_2_7B,
    LLAMA_2_13B,
    LLAMA_3_8B,
    TINYLLAMA_1_1B,
    Architecture,
    adam_mini_blocks,
    entries,
    llama_shapes,
)
from sandbox.models.cuts import adam_mini
from sandbox.models.initial import roles_of, shapes_of
from sandbox.models.llama import LlamaConfig

PUBLISHED = {
    LLAMA_2_7B: 6_738_415_616,
    LLAMA_2_13B: 13_015_864_320,
    LLAMA_3_8B: 8_030_261_248,
    TINYLLAMA_1_1B: 1_100_048_384,
}
each_model = pytest.mark.parametrize("architecture", PUBLISHED, ids=lambda a: a.name)


def config(a: Architecture) -> LlamaConfig:
    return LlamaConfig(vocab=a.vocab, width=a.width, layers=a.n_layers, heads=a.n_heads, kv_heads=a.n_kv_heads, ffn=a.ffn)


@each_model
def test_parameter_counts_are_the_published_ones(architecture):
    assert entries(llama_shapes(architecture)) == PUBLISHED[architecture]


@each_model
def test_shapes_are_those_of_a_module_on_the_meta_device(architecture):
    """The names differ (theirs and ours), the multiset of shapes must not."""
    ours = shapes_of(config(architecture))
    assert sorted(ours.values()) == sorted(llama_shapes(architecture).values())


@pytest.mark.parametrize("architecture", [LLAMA_2_7B, LLAMA_3_8B], ids=lambda a: a.name)
def test_the_cut_is_the_one_that_roles_give(architecture):
    """Another channel: blocks from the roles of a real module, compared as (shape, number of blocks)."""
    ours = config(architecture)
    shapes, cut = shapes_of(ours), adam_mini(roles_of(ours), shapes_of(ours))
    theirs, counts = llama_shapes(architecture), adam_mini_blocks(architecture)
    assert list(counts) == list(theirs)
    assert sorted((shapes[n], cut[n].count) for n in cut) == sorted((theirs[n], counts[n]) for n in counts)


def test_every_block_is_a_whole_number_of_rows():
    counts = adam_mini_blocks(LLAMA_3_8B)
    assert all(shape[0] % counts[name] == 0 for name, shape in llama_shapes(LLAMA_3_8B).items())
    assert counts["model.layers.31.self_attn.k_proj.weight"] == 8


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="odd: n_heads must divide width .* got width 10, n_heads 3, n_kv_heads 3"):
        Architecture("odd", 10, 1, 8, 5, 3, 3)
    with pytest.raises(ValueError, match="got width 12, n_heads 4, n_kv_heads 3"):
        Architecture("odd", 12, 1, 8, 5, 4, 3)
