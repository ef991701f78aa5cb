"""Partitions: counts on paper, block membership by hand, the controls, and the refusals."""

from math import prod

import pytest
import torch

from sandbox.models.cuts import Blocks, adam_mini
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import roles_of, shapes_of
from sandbox.models.llama import LlamaConfig
from sandbox.models.partitions import Partition, by_column, from_blocks, from_indices, one_per_tensor, random_like
from sandbox.models.roles import Role

LLAMA = LlamaConfig(vocab=11, width=8, layers=1, heads=4, kv_heads=2, context=6, ffn=12)
GPT = GPTConfig(vocab=11, width=8, layers=1, heads=2, context=6)


def mini(config, version="1.1"):
    return adam_mini(roles_of(config), shapes_of(config), version=version)


def partition(config):
    return from_blocks(mini(config), shapes_of(config))


def test_adam_mini_counts_of_a_llama_block():
    counts = {name.removeprefix("blocks.0."): cut.count for name, cut in mini(LLAMA).items()}
    assert counts == {
        "embedding.weight": 11, "attention_norm.weight": 1, "attention.query.weight": 4, "attention.key.weight": 2,
        "attention.value.weight": 4, "attention.out.weight": 8, "ffn_norm.weight": 1, "ffn.gate.weight": 12,
        "ffn.up.weight": 12, "ffn.down.weight": 8, "norm.weight": 1, "head.weight": 11,
    }  # fmt: skip


def test_biases_are_plain_adam_and_positions_are_rows():
    counts = mini(GPT)
    assert counts["blocks.0.ffn.up.bias"] == Blocks("entry", 32)
    assert counts["norm.bias"] == Blocks("entry", 8)
    assert counts["position.weight"] == Blocks("row", 6)


def test_version_1_0_kept_the_second_moment_of_embedding_and_head():
    counts = mini(LLAMA, "1.0")
    assert counts["embedding.weight"] == Blocks("entry", 88)
    assert counts["head.weight"] == Blocks("entry", 88)
    assert counts["blocks.0.attention.query.weight"] == Blocks("head", 4)
    assert counts["blocks.0.attention.value.weight"] == counts["blocks.0.ffn.down.weight"] == Blocks("whole", 1)


def test_scalars_of_llama_2_7b_on_paper():
    """32 layers of width 4096, F = 11008, V = 32000: 2 V + 1 + 32 (2 * 32 + 2 * 4096 + 2 * 11008 + 4096 + 2) scalars,
    1.16 M.
    """
    D, F, V, L = 4096, 11008, 32000, 32
    config = LlamaConfig(vocab=V, width=D, layers=L, heads=32, context=4096, ffn=F)
    kept = sum(cut.count for cut in mini(config).values())
    assert kept == 2 * V + 1 + L * (2 * 32 + 2 * D + 2 * F + D + 2)
    entries = sum(map(prod, shapes_of(config).values()))
    assert entries == 6_738_415_616  # the published size of Llama-2-7B
    assert round(4 * (entries + kept) / 1e9, 2) == 26.96  # GB of float32 state: first moment and kept scalars
    assert round(8 * entries / 1e9, 2) == 53.91


def test_a_query_block_is_a_head():
    """Rows 2 h and 2 h + 1 of the 8 rows belong to head h of 4."""
    label = partition(LLAMA).labels["blocks.0.attention.query.weight"]
    assert torch.equal(label, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])[:, None].expand(8, 8))


def test_columns_are_the_rows_of_the_transpose():
    cut = by_column(roles_of(LLAMA), shapes_of(LLAMA))
    assert torch.equal(cut.labels["blocks.0.ffn.down.weight"], torch.arange(12).expand(8, 12))
    assert torch.equal(cut.labels["embedding.weight"], torch.arange(8).expand(11, 8))  # features, not tokens
    assert cut.counts["norm.weight"] == 1


def test_conv_layout_is_cut_along_its_second_axis():
    """A GPT-2 matrix is (in, out): output neurons are columns."""
    role = Role("ffn_in", (0,), (1,))
    cut = adam_mini({"w": role}, {"w": (3, 5)})
    assert cut == {"w": Blocks("row", 5, 1)}
    assert torch.equal(from_blocks(cut, {"w": (3, 5)}).labels["w"], torch.arange(5).expand(3, 5))


@pytest.mark.parametrize("config", [LLAMA, GPT], ids=["llama", "gpt"])
def test_every_entry_lies_in_exactly_one_block(config):
    cut = partition(config)
    for name, shape in shapes_of(config).items():
        assert cut.labels[name].shape == shape
        assert torch.cat(cut.indices(name)).sort().values.tolist() == list(range(prod(shape)))
        assert cut.sizes(name).tolist() == [len(members) for members in cut.indices(name)]
        assert cut.counts[name] == mini(config)[name].count


def test_flat_numbers_run_on_across_tensors():
    cut = from_blocks({"a": Blocks("row", 2), "b": Blocks("whole", 1), "c": Blocks("entry", 2)}, {"a": (2, 2), "b": (3,), "c": (2,)})
    assert cut.flat().tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 4]


def test_a_random_partition_has_the_same_sizes_and_other_members():
    cut = partition(LLAMA)
    shuffled, again, other = random_like(cut, 0), random_like(cut, 0), random_like(cut, 1)
    name = "blocks.0.attention.query.weight"
    assert all(torch.equal(shuffled.sizes(n), cut.sizes(n)) for n in cut.labels)
    assert torch.equal(shuffled.labels[name], again.labels[name])
    assert not torch.equal(shuffled.labels[name], cut.labels[name])
    assert not torch.equal(shuffled.labels[name], other.labels[name])


def test_random_members_are_spread_evenly():
    """P(two given entries share one of 4 blocks of 16 in 64) = 15 / 63; over 2000 seeds the standard error is
    0.0095.
    """
    cut = from_blocks({"w": Blocks("row", 4)}, {"w": (4, 16)})
    together = [bool((label := random_like(cut, seed).labels["w"])[0, 0] == label[0, 1]) for seed in range(2000)]
    assert abs(sum(together) / 2000 - 15 / 63) < 5 * 0.0095


def test_indices_and_labels_are_inverse():
    cut = from_indices({"w": [[0, 3], [2, 1, 5], [4]]}, {"w": (2, 3)})
    assert torch.equal(cut.labels["w"], torch.tensor([[0, 1, 1], [0, 2, 1]]))
    assert [members.tolist() for members in cut.indices("w")] == [[0, 3], [1, 2, 5], [4]]


@pytest.mark.parametrize(
    "sets, sentence",
    [
        ([[0, 1], [3, 5]], r"entry 2 of 'w' lies in no block \(0 times\), and so do 1 more of its 6 entries"),
        ([[0, 1, 2], [2, 3, 4, 5]], r"entry 2 of 'w' lies in more than one block \(2 times\), and so do 0 more"),
        ([[0, 1, 2], [3, 4, 6]], r"entry 6 of 'w' does not exist: its 6 entries, shape \(2, 3\), are 0 .. 5"),
        ([[0, 1, 2, 3, 4, 5], []], "block 1 of 'w' is empty"),
    ],
)
def test_refuses_index_sets_that_do_not_cover_once(sets, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_indices({"w": sets}, {"w": (2, 3)})


def test_refuses_names_that_differ():
    with pytest.raises(ValueError, match=r"only indices has \['w'\] and only shapes has \['v'\]"):
        from_indices({"w": [[0]]}, {"v": (1,)})


def test_refuses_blocks_that_do_not_divide():
    with pytest.raises(ValueError, match=r"3 blocks do not cut axis 0 of 'w', shape \(8, 2\), into equal chunks"):
        from_blocks({"w": Blocks("row", 3)}, {"w": (8, 2)})


def test_refuses_heads_that_do_not_divide_the_rows():
    with pytest.raises(ValueError, match="'w' is a query of 8 rows, which 3 heads do not cut"):
        adam_mini({"w": Role("query", (1,), (0,), 3, 3)}, {"w": (8, 8)})
    with pytest.raises(ValueError, match="'w' is a key of 8 rows, which None heads do not cut"):
        adam_mini({"w": Role("key", (1,), (0,))}, {"w": (8, 8)})


def test_one_per_tensor():
    cut = from_blocks(one_per_tensor({"a": (2, 2), "b": (3,)}), {"a": (2, 2), "b": (3,)})
    assert cut.counts == {"a": 1, "b": 1}
    assert isinstance(cut, Partition)
