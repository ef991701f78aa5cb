"""Partitions: counts on paper, block membership by hand, the controls, and the refusals."""

from dataclasses import replace
from math import prod

import pytest
import torch
from torch import nn

from sandbox.models.cuts import Blocks, adam_mini
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import roles_of, shapes_of
from sandbox.models.llama import LlamaConfig
from sandbox.models.partitions import (
    Partition,
    adam_mini_cut,
    by_column,
    by_head,
    by_row,
    by_tensor,
    by_token,
    from_blocks,
    from_indices,
    one_per_tensor,
    random_like,
    table,
)
from sandbox.models.roles import Role, roles

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


FAMILIES = [replace(config, tied=tied) for config in (LLAMA, GPT) for tied in (True, False)]
families = pytest.mark.parametrize("config", FAMILIES, ids=["llama tied", "llama", "gpt tied", "gpt"])


def of(config):
    return roles_of(config), shapes_of(config)


def every_cut(config):
    both = of(config)
    return {
        "tensor": by_tensor(both[1]), "head": by_head(*both), "row": by_row(*both), "column": by_column(*both),
        "token": by_token(*both), "1.1": adam_mini_cut(*both), "1.0": adam_mini_cut(*both, version="1.0"),
    }  # fmt: skip


@families
def test_every_constructor_cuts_every_entry_of_every_tensor_once(config):
    """A tied head is the embedding: one tensor, one cut."""
    shapes = shapes_of(config)
    assert ("head.weight" in shapes) == (not config.tied)
    for title, cut in every_cut(config).items():
        assert list(cut.labels) == list(shapes), title
        for name, shape in shapes.items():
            assert cut.labels[name].shape == shape
            assert cut.labels[name].unique().tolist() == list(range(cut.counts[name]))
        assert len(cut.flat()) == sum(map(prod, shapes.values()))


@families
def test_counts_by_what_a_block_belongs_to(config):
    """Width 8, 11 tokens; Llama has 4 heads on 2 heads of keys, GPT 2 and 2."""
    heads, kv_heads = (4, 2) if isinstance(config, LlamaConfig) else (2, 2)
    cut = every_cut(config)
    attention = {"query": heads, "key": kv_heads, "value": kv_heads, "out": heads}
    for part, count in attention.items():
        name = f"blocks.0.attention.{part}.weight"
        assert cut["head"].counts[name] == count
        rows, columns = shapes_of(config)[name]
        assert (cut["row"].counts[name], cut["column"].counts[name]) == (rows, columns)
        assert cut["token"].counts[name] == cut["tensor"].counts[name] == 1
    assert cut["token"].counts["embedding.weight"] == cut["row"].counts["embedding.weight"] == 11
    assert cut["column"].counts["embedding.weight"] == 8
    assert cut["head"].counts["embedding.weight"] == 1
    assert sum(cut["token"].counts.values()) == len(shapes_of(config)) - 1 + 11 + (0 if config.tied else 10)
    norms = [name for name, role in roles_of(config).items() if role.kind == "norm"]
    assert norms and {cut[title].counts[name] for title in ("head", "row", "column", "token") for name in norms} == {1}


def test_value_and_attention_output_are_cut_along_the_axis_of_their_heads():
    """Rows of value (2 heads of keys, 2 rows each), columns of the output (4 heads, 2 columns each)."""
    cut = by_head(*of(LLAMA))
    assert torch.equal(cut.labels["blocks.0.attention.value.weight"], torch.tensor([0, 0, 1, 1])[:, None].expand(4, 8))
    assert torch.equal(cut.labels["blocks.0.attention.out.weight"], torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]).expand(8, 8))


def test_the_gauge_of_a_head_stays_inside_its_blocks():
    """Turning the values of a head and turning back in the output changes no entry outside that head's two blocks."""
    cut, turn = by_head(*of(GPT)), torch.linalg.qr(torch.arange(16.0).view(4, 4) + torch.eye(4))[0]
    value, out = torch.ones(8, 8), torch.ones(8, 8)
    turned_value, turned_out = value.clone(), out.clone()
    turned_value[4:], turned_out[:, 4:] = turn @ value[4:], out[:, 4:] @ turn.T
    assert torch.equal(turned_value != value, (cut.labels["blocks.0.attention.value.weight"] == 1) & (turned_value != value))
    assert torch.equal(turned_out != out, (cut.labels["blocks.0.attention.out.weight"] == 1) & (turned_out != out))
    assert (turned_value != value).any() and (turned_out != out).any()


def test_a_fused_weight_is_cut_by_all_its_heads():
    """MultiheadAttention of width 6 with 3 heads: rows 0-1, 2-3, ... of 18 are 3 heads of query, 3 of key, 3 of value."""
    found = roles(nn.MultiheadAttention(6, 3))
    shapes = {name: (18, 6) if name == "in_proj_weight" else (18,) if name == "in_proj_bias" else (6, 6) for name in found}
    shapes["out_proj.bias"] = (6,)
    cut = by_head(found, shapes)
    assert torch.equal(cut.labels["in_proj_weight"], (torch.arange(18) // 2)[:, None].expand(18, 6))
    assert torch.equal(cut.labels["out_proj.weight"], (torch.arange(6) // 2).expand(6, 6))
    grouped = by_head({"w": Role("query_key_value", (1,), (0,), 4, 2)}, {"w": (16, 5)})  # 4 + 2 + 2 heads of 2 rows
    assert grouped.counts["w"] == 8 and grouped.sizes("w").tolist() == [10] * 8
    by_turns = by_head({"w": Role("query_key_value_by_head", (1,), (0,), 2, 2)}, {"w": (12, 5)})  # q k v q k v of 2 rows
    assert torch.equal(by_turns.labels["w"][:, 0], torch.arange(12) // 2)


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="'w' has the role attention_out and 8 entries along axis 1, which 3 heads do not cut"):
        by_head({"w": Role("attention_out", (1,), (0,), 3, 3)}, {"w": (6, 8)})
    with pytest.raises(ValueError, match="'w' has the role value and 8 entries along axis 0, which None heads do not cut"):
        by_head({"w": Role("value", (1,), (0,))}, {"w": (8, 8)})


def test_a_partition_of_other_tensors_is_refused():
    for make in (by_head, by_row, by_column, by_token, adam_mini_cut):
        with pytest.raises(ValueError, match=r"only roles has \['w'\] and only shapes has \['v'\]"):
            make({"w": Role("hidden", (1,), (0,))}, {"v": (2, 2)})


def test_the_table_says_what_is_cut_how():
    tied = replace(LLAMA, tied=True)
    text = table(by_head(*of(tied)), roles_of(tied)).splitlines()
    assert text[0].split() == ["tensor", "role", "shape", "blocks", "entries", "per", "block", "tied", "to"]
    assert text[1].split() == ["embedding.weight", "embedding", "11", "x", "8", "1", "88", "head.weight"]
    value = next(line for line in text if ".value." in line)
    assert value.split()[1:] == ["value", "4", "x", "8", "2", "16"]
    n = sum(map(prod, shapes_of(tied).values()))
    assert text[-1] == f"19 blocks of {n} entries in 11 tensors"  # 4 + 2 + 2 + 4 heads, and 7 tensors that stay whole
    uneven = from_indices({"w": [[0], [1, 2, 3]]}, {"w": (2, 2)})
    assert "1 to 3" in table(uneven, {"w": Role("hidden", (1,), (0,))})
