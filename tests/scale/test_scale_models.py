"""Models of Hugging Face under the trainer, and other models of ours: the same function, the settings of the card by role."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.func import functional_call

from sandbox.handoff.reading import read
from sandbox.handoff.recipe import Recipe
from sandbox.handoff.target_rules import Model, predicted_lr, rules_at
from sandbox.models.cuts import adam_mini
from sandbox.models.hugging_face import as_theirs, our_name
from sandbox.models.initial import initial, skeleton
from sandbox.models.llama import LlamaConfig
from sandbox.models.roles import Role
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.settings import learning_rate
from sandbox.scale.fsdp import filled
from sandbox.scale.job import Job, Ranks
from sandbox.scale.model import Trainee, logits_of, trainee_of
from sandbox.scale.plan import plan_of
from sandbox.scale.train import train
from tests.scale.cards import card_of, tiny
from tests.scale.test_scale_canaries import CONSTANT

pytest.importorskip("transformers")
pytest.importorskip("accelerate")
pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns of its own plans
CPU = torch.device("cpu")
GPT2 = {"model_type": "gpt2", "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 8, "bos_token_id": None, "eos_token_id": None}


def theirs(config):
    return json.loads(as_theirs(config).to_json_string())


@pytest.fixture(scope="module")
def problem(place):
    return tiny("scale_words.txt", width=16, batch_size=4)


@pytest.fixture(scope="module")
def path(place, problem):
    return card_of(Recipe(problem, AdamW(0.01), steps=12), place / "hf.json", transfer={"lr": CONSTANT})


@pytest.mark.parametrize("kv_heads", [None, 2])
def test_their_llama_is_the_same_function_of_the_same_numbers(kv_heads):
    """Attention by another kernel and angles in float32: rounding of float32, at logits of order 0.1."""
    config = LlamaConfig(40, width=16, layers=2, heads=4, kv_heads=kv_heads, context=12, tied=False)
    ours = initial(config, 0)
    model = filled(Trainee(config, as_theirs(config)).module(), lambda name: ours[our_name(name)], CPU)
    tokens = torch.arange(24).view(2, 12)
    torch.testing.assert_close(logits_of(model, tokens), functional_call(skeleton(config), ours, (tokens,)), rtol=1e-5, atol=1e-6)


def test_a_llama_of_theirs_with_the_cards_sizes_trains_as_the_card(path, problem, place):
    """The code canary runs the small Llama as one of theirs, and the job begins at the loss of ln V."""
    (place / "llama.json").write_text(json.dumps(theirs(problem.model)))
    said = []
    done = train(path, model="llama.json", say=said.append)
    assert "the first 10 losses are those of the card (rtol 1e-05)" in said
    assert done.losses[0] == pytest.approx(torch.tensor(float(problem.model.vocab)).log().item(), abs=0.05)
    assert done.losses[-1] < done.losses[0] - 0.2


def test_gpt2_with_tied_head_and_dropout_repeats_itself(path, problem, place):
    (place / "gpt2.json").write_text(json.dumps(GPT2 | {"vocab_size": problem.model.vocab}))
    first, again = (train(path, model="gpt2.json", steps=4, out=place / "gpt2", start="fresh", say=lambda line: None) for _ in range(2))
    assert first.losses == again.losses
    names = set(load_file(place / "gpt2" / "weights.safetensors"))
    assert "transformer.wte.weight" in names and "lm_head.weight" not in names


def test_training_starts_from_the_weights_of_a_folder(path, problem, place):
    """As GPT-2's own files name them, without the first part of the name."""
    (place / "gpt2.json").write_text(json.dumps(GPT2 | {"vocab_size": problem.model.vocab}))
    train(path, model="gpt2.json", steps=4, out=place / "first", say=lambda line: None)
    folder = place / "folder"
    folder.mkdir()
    weights = load_file(place / "first" / "weights.safetensors")
    save_file({name.removeprefix("transformer."): w for name, w in weights.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text((place / "gpt2.json").read_text())
    number = trainee_of(str(folder), problem.model, None).numbers(0, torch.float32)
    for name, w in weights.items():
        assert torch.equal(number(name), w)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(ValueError, match="model.safetensors cannot be read as safetensors .*: copy it again"):
        trainee_of(str(folder), problem.model, None).numbers(0, torch.float32)


def test_other_models_are_refused_in_a_sentence(place, problem):
    for content, words in {
        "{": "must be a JSON configuration: ",
        "[]": "must be a JSON configuration, got a list",
        '{"model_type": "bert"}': "model_type llama or gpt2, got type None and model_type 'bert'",
        '{"type": "LlamaConfig", "vocab": 20, "depth": 3}': "LlamaConfig has the fields",
        '{"model_type": "llama", "hidden_size": 15, "num_attention_heads": 4}': "",
    }.items():
        (place / "bad.json").write_text(content)
        with pytest.raises(ValueError, match=words):
            trainee_of("bad.json", problem.model, None)
    with pytest.raises(ValueError, match="the model 'nowhere.json' must be a JSON configuration"):
        trainee_of("nowhere.json", problem.model, None)


def own(problem):
    return Model(problem.roles, problem.shapes, problem.model.width)


def described(trainee):
    return Model(trainee.roles, trainee.shapes, trainee.config.width)


def test_the_predicted_rate_is_the_power_law(path):
    card, _ = read(path)
    bent = card.model_copy(update={"transfer": {"lr": CONSTANT.model_copy(update={"value": -0.5})}})
    assert predicted_lr(bent, 64) == pytest.approx(0.01 / 2)


def test_settings_of_another_model_follow_the_roles(place, problem):
    """Adam-mini's cuts are made anew for the heads of the other model; every kind keeps its frame."""
    cuts = adam_mini(problem.roles, problem.shapes)
    rules = {n: AdamMini(0.01, n_blocks=cut.n_blocks, dim=cut.dim) for n, cut in cuts.items()}
    card, _ = read(card_of(Recipe(problem, rules, steps=12), place / "mini.json", transfer={"lr": CONSTANT}))
    other = Trainee(replace(problem.model, width=24, heads=6, layers=2))
    found = rules_at(card, own(problem), rules, described(other))
    for name, cut in adam_mini(other.roles, other.shapes).items():
        assert (found[name].n_blocks, found[name].dim) == (cut.n_blocks, cut.dim)
    odd = rules | {"head.weight": AdamMini(0.01, n_blocks=4)}
    with pytest.raises(ValueError, match="no rule: the card's blocks are none of Adam-mini's partitions"):
        rules_at(card, own(problem), odd, described(other))


def test_a_frame_with_a_side_turns_with_a_tensor_that_is_stored_transposed(path, problem):
    card, _ = read(path)
    framed = GaLore(Adam(0.01), rank=2, side=1)
    rules = {n: framed if r.kind in ("ffn_in", "query") else Adam(0.01) for n, r in problem.roles.items()}
    roles = {"c_fc": Role("ffn_in", (0,), (1,)), "up": Role("ffn_in", (1,), (0,)), "c_attn": Role("query_key_value", (0,), (1,))}
    other = Model(roles, {"c_fc": (16, 32), "up": (32, 16), "c_attn": (16, 48)}, 16)
    found = rules_at(card, own(problem), rules, other)
    assert {name: rule.side for name, rule in found.items()} == {"c_fc": 0, "up": 1, "c_attn": 0}


def test_square_matrices_of_their_gpt2_are_turned_under_the_trainer_too(problem, place):
    """As `sandbox.handoff.optimizer` does (tests/handoff/test_handoff_gpt2.py, where ten steps show it)."""
    (place / "gpt2.json").write_text(json.dumps(GPT2 | {"vocab_size": problem.model.vocab}))
    hidden = {n: r.kind in ("attention_out", "ffn_in") for n, r in problem.roles.items()}

    def planned(frame, name):
        card = card_of(Recipe(problem, {n: frame if inside else Adam(0.01) for n, inside in hidden.items()}, steps=12), place / name)
        return plan_of(card, Job(model="gpt2.json", lr=0.01), Ranks(0, 1, CPU)).rules

    rules = planned(GaLore(Adam(0.01), rank=2), "galore.json")
    assert rules["transformer.h.0.attn.c_proj.weight"].side == 1 and rules["transformer.h.0.mlp.c_fc.weight"].side == "short"
    with pytest.raises(ValueError, match="no rule: GWT acts along the last axis, and transformer.h.0.attn.c_proj.weight"):
        planned(GWT(Adam(0.01), level=1), "gwt.json")


def test_factors_by_kind_follow_the_parametrisation(path, problem):
    card, _ = read(path)
    part = {"name": "mu", "base_width": 16, "exponents": {"query": -1.0, "embedding": 0.0}}
    card = type(card).model_validate(card.as_json() | {"parametrisation": part})
    other = Model({"q": Role("query", (1,), (0,)), "e": Role("embedding", (0,), (1,))}, {"q": (64, 64), "e": (20, 64)}, 64)
    found = rules_at(card, own(problem), {n: AdamW(0.01) for n in problem.shapes}, other)
    assert learning_rate(found["q"]) == pytest.approx(0.01 / 4) and learning_rate(found["e"]) == pytest.approx(0.01)


def test_kinds_without_a_kin_and_kinds_treated_unlike_have_no_rule(path, problem):
    card, _ = read(path)
    rules = {n: AdamW(0.01) for n in problem.shapes}
    with pytest.raises(ValueError, match="no rule: the model has a tensor of kind 'router'"):
        rules_at(card, own(problem), rules, Model({"r": Role("router", (1,), (0,))}, {"r": (4, 16)}, 16))
    two = tiny("scale_words.txt", width=16, layers=2)
    uneven = {n: AdamW(0.02 if "blocks.1" in n else 0.01) for n in two.shapes}
    with pytest.raises(ValueError, match="no rule: the card treats blocks.0.* and blocks.1.*, both of kind 'norm', unlike"):
        rules_at(card, own(two), uneven, own(problem))
