"""What `sandbox hessian` can be pointed at, and the sentence where it cannot."""

import sys

import pytest
import torch
from torch import nn

from sandbox.curvature.survey import Target, check_target
from sandbox.hessian_targets import BuiltIn, Choice, Folder, checkpoints, of_module, targets_of

MODULE = """
import torch
from torch import nn

torch.manual_seed(0)
MODEL = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
BATCH = (torch.randn(8, 3), torch.randn(8, 2))


def one():
    return MODEL, nn.functional.mse_loss, [BATCH]


def two():
    return {"early": one(), "late": one()}


def wrong():
    return MODEL


def breaks():
    raise RuntimeError("no such weights")


def loader():
    return MODEL, nn.functional.mse_loss, torch.utils.data.DataLoader(BATCH[0])


def no_batch():
    return MODEL, nn.functional.mse_loss, []


def no_pair():
    return MODEL, nn.functional.mse_loss, [BATCH[0]]


def nothing():
    return {}
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_for_targets.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "mine_for_targets"
    sys.modules.pop("mine_for_targets", None)


def test_built_in_models_at_points_of_their_training():
    targets = BuiltIn("llama", width=8, steps=4, shares=(0.0, 0.5, 1.0)).targets()
    assert [one.title for one in targets] == ["llama step 0", "llama step 2", "llama step 4"]
    first, last = targets[0].params, targets[2].params
    assert first.keys() == last.keys() and not torch.equal(first["embedding.weight"], last["embedding.weight"])
    assert set(targets[0].partitions) == {"adam-mini", "by input", "random"}
    assert torch.equal(targets[0].batches[0], targets[2].batches[0])  # points differ in the weights alone


@pytest.mark.parametrize(("at", "words"), [("0,x", "with commas"), ("2", "shares in 0..1"), ("-1", "shares in 0..1")])
def test_points_that_make_no_sense_are_refused(at, words):
    with pytest.raises(ValueError, match=words):
        targets_of("gpt", Choice(steps=3, at=at))


def test_a_function_gives_targets(module):
    (one,) = targets_of(f"{module}:one")
    assert one.title == "one" and set(one.params) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert set(one.partitions) == {"rows", "columns", "random"} and "cut by rows and columns, because" in one.note
    assert one.partitions["rows"].counts["0.weight"] == 4 and one.partitions["columns"].counts["0.weight"] == 3
    assert [two.title for two in targets_of(f"{module}:two")] == ["early", "late"]
    params = {name: p.detach() for name, p in one.params.items()}
    model, criterion, [(x, y)] = sys.modules[module].one()
    assert torch.allclose(one.loss(params, (x, y)), criterion(model(x), y))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mine_for_targets:wrong", "must return .* got Sequential"),
        ("mine_for_targets:breaks", "must return a model, but stops with RuntimeError: no such weights"),
        ("mine_for_targets:loader", r"got \(Sequential, function, DataLoader\).*list\(loader\)"),
        ("mine_for_targets:no_batch", "at least one batch"),
        ("mine_for_targets:no_pair", r"\[\(inputs, targets\), ...\]"),
        ("mine_for_targets:nothing", "must return .* got dict"),
        ("mine_for_targets:missing", "can import from here"),
        ("no_such_module_here:f", "can import from here"),
        ("nothing", "the target must be gpt or llama"),
    ],
)
def test_what_stands_for_no_target_is_refused(module, name, words):
    with pytest.raises(ValueError, match=words):
        targets_of(name)


def test_a_known_model_is_cut_by_its_roles():
    from sandbox.models.gpt import GPTConfig

    model = GPTConfig(5, width=8, layers=1, heads=2, context=4).module()
    one = of_module("gpt", model, lambda params, batch: torch.zeros(()), [torch.zeros(1)], seed=0)
    query = next(name for name in one.params if "query" in name and name.endswith("weight"))
    assert not one.note and one.partitions["adam-mini"].counts[query] == 2


def test_a_partition_that_misses_a_tensor_is_refused(module):
    (one,) = targets_of(f"{module}:one")
    cut = {"rows": one.partitions["rows"]}
    with pytest.raises(ValueError, match="must cut every tensor"):
        check_target(Target("t", one.loss, {**one.params, "extra": torch.ones(2, 2)}, one.batches, cut), ["0.weight", "extra"])


# --- folders


def test_checkpoints_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("checkpoint-1000", "checkpoint-20", "logs"):
        (tmp_path / name).mkdir()
        if name != "logs":
            (tmp_path / name / "config.json").write_text("{}")
    assert [folder.name for folder in checkpoints(tmp_path)] == ["checkpoint-20", "checkpoint-1000"]
    assert checkpoints(tmp_path / "checkpoint-20") == [tmp_path / "checkpoint-20"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny Llama as save_pretrained writes it, with a tokenizer of single bytes."""
    transformers = pytest.importorskip("transformers", reason="Hugging Face folders need transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("hf") / "checkpoint-7"
    config = transformers.LlamaConfig(
        vocab_size=256, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        max_position_embeddings=32, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    bytewise = tokenizers.Tokenizer(tokenizers.models.BPE({c: i for i, c in enumerate(sorted(alphabet))}, []))
    bytewise.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    transformers.PreTrainedTokenizerFast(tokenizer_object=bytewise).save_pretrained(folder)
    return folder


def test_a_hugging_face_folder_gives_the_loss_that_transformers_computes(saved):
    import transformers

    (one,) = Folder(saved, context=8, windows=3).targets()
    assert one.title == "checkpoint-7" and not one.note
    assert "lm_head.weight" not in one.params  # tied to the embedding, which stands once
    query = next(name for name in one.params if "q_proj" in name)
    key = next(name for name in one.params if "k_proj" in name)
    assert (one.partitions["adam-mini"].counts[query], one.partitions["adam-mini"].counts[key]) == (2, 1)
    ids = one.batches[0]
    assert ids.shape == (3, 9)
    model = transformers.AutoModelForCausalLM.from_pretrained(saved, attn_implementation="eager").eval()
    wanted = model(input_ids=ids, labels=ids).loss
    assert torch.allclose(one.loss({name: p.detach() for name, p in one.params.items()}, ids), wanted, rtol=1e-5)  # float32
    check_target(one, [query, key])


def test_a_folder_without_a_model_and_a_short_text_are_refused(saved, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="must hold a causal language model and its tokenizer"):
        Folder(tmp_path).targets()
    (tmp_path / "short.txt").write_text("ab\n")
    with pytest.raises(ValueError, match="one window takes 33"):
        Folder(saved, text=str(tmp_path / "short.txt")).targets()
    with pytest.raises(ValueError, match="context >= 1"):
        Folder(saved, context=0)


def test_a_model_of_an_unknown_class_says_which_row_is_missing():
    one = of_module("mine", nn.Sequential(nn.Linear(2, 2)), lambda params, batch: torch.zeros(()), [torch.zeros(1)], seed=0)
    assert one.note.startswith("mine: cut by rows and columns, because")
