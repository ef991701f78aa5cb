"""A card of our GPT on the GPT-2 of Hugging Face, which keeps its matrices with inputs first and query, key and value as one: ten steps
of a plain loop and of their Trainer give the card's losses, frames on square matrices included.
"""

import pytest
import torch

from sandbox.handoff.canary import difference
from sandbox.handoff.for_trainers import rules_for
from sandbox.models.cuts import adam_mini
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.sgc import SGC
from tests.handoff.made import WORDS, card_of
from tests.handoff.test_handoff_for_trainers import plain_loop, their_loss, trainer_losses

pytest.importorskip("transformers", reason="needs transformers, of the extra [scale]")
pytest.importorskip("accelerate", reason="needs accelerate, of the extra [scale]")
ALONE = ("attention_out", "ffn_in", "ffn_out")  # matrices that are one tensor here and there; the first is square


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text("".join(WORDS[i % 7 :] for i in range(200)), encoding="utf-8")
    model = GPTConfig(vocab=30, width=16, layers=2, heads=4, context=8, std=0.2)
    return fitted(LanguageProblem(model, text=str(path), tokenizer=Characters(), batch_size=2))


def framed(problem, frame):
    """The frame on the matrices that both codes have alone, Adam elsewhere."""
    return {name: frame if role.kind in ALONE else Adam(0.01) for name, role in problem.roles.items()}


def rules(problem):
    """GaLore by a side that the shape decides and by either one; Adam-mini with a head a block, of three matrices in one."""
    galore = {side: GaLore(Adam(0.02), rank=2, update_gap=3, side=side) for side in ("short", "long", 0, 1)}
    cuts = adam_mini(problem.roles, problem.shapes)
    mini = {name: AdamMini(0.02, n_blocks=cut.n_blocks, dim=cut.dim) for name, cut in cuts.items()}
    return {"adamw": AdamW(0.02, weight_decay=0.1), "adam-mini": mini} | {
        f"galore-{side}": framed(problem, frame) for side, frame in galore.items()
    }


def theirs(problem):
    """Their GPT-2 of the same sizes with our numbers: exact GELU and no dropout, as in our model."""
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = problem.model
    config = GPT2Config(
        vocab_size=sizes.vocab, n_embd=sizes.width, n_layer=sizes.layers, n_head=sizes.heads, n_positions=sizes.context + 1,
        activation_function="gelu", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model, ours = GPT2LMHeadModel(config), dict(build(sizes, 0).named_parameters())
    with torch.no_grad():
        model.transformer.wte.weight.copy_(ours["embedding.weight"])
        model.transformer.wpe.weight[: sizes.context].copy_(ours["position.weight"])
        for block, prefix in ((block, f"blocks.{i}") for i, block in enumerate(model.transformer.h)):
            whole = torch.cat([ours[f"{prefix}.attention.{part}.weight"] for part in ("query", "key", "value")])
            block.attn.c_attn.weight.copy_(whole.T)
            for layer, name in ((block.attn.c_proj, "attention.out"), (block.mlp.c_fc, "ffn.up"), (block.mlp.c_proj, "ffn.down")):
                layer.weight.copy_(ours[f"{prefix}.{name}.weight"].T)
    return model


METHODS = ("adamw", "adam-mini", "galore-short", "galore-long", "galore-0", "galore-1")


@pytest.mark.parametrize("method", METHODS)
def test_ten_steps_on_their_gpt2_are_the_cards(problem, method):
    """Within the card's rtol of 1e-5: sums in another order, 6e-8 an operation, over ten steps."""
    card = card_of(problem, rules(problem)[method])
    assert difference(card.canary, plain_loop(theirs(problem), problem, card, their_loss)) is None


def test_without_the_turn_a_square_matrix_is_compressed_on_its_other_side_and_the_losses_say_so(problem, monkeypatch):
    from sandbox.handoff import for_trainers

    monkeypatch.setattr(for_trainers, "turned", lambda rules, model: rules)
    card = card_of(problem, rules(problem)["galore-short"])
    assert "must be reproduced" in difference(card.canary, plain_loop(theirs(problem), problem, card, their_loss))


@pytest.mark.parametrize("method", ["adamw", "galore-short"])
def test_ten_steps_of_their_trainer_on_their_gpt2_are_the_cards(problem, method, tmp_path):
    card = card_of(problem, rules(problem)[method])
    assert difference(card.canary, trainer_losses(problem, card, theirs(problem), tmp_path)) is None


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (
            GWT(Adam(0.02), level=1),
            "no rule: GWT acts along the last axis, and transformer.h.0.attn.c_proj.weight is stored with its inputs",
        ),
        (
            CESGC(SGC(Adam(0.02), sparsity=2, measurements=8), rank=2),
            "no rule: CESGC takes the first side of a square matrix, and transformer.h.0.attn.c_proj.weight is",
        ),
    ],
)
def test_a_frame_that_cannot_be_turned_is_refused(problem, frame, words):
    with pytest.raises(ValueError, match=words):
        rules_for(card_of(problem, framed(problem, frame)), theirs(problem))
