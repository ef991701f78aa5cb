"""The card's shell in other people's loops: ten steps of a plain loop, and of Hugging Face's Trainer on its own Llama, give
the losses of the card, which `sandbox.run` made on our Llama: another model code, other names, another order of the tensors.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sandbox.handoff.canary import RTOL, difference
from sandbox.handoff.export.their_llama import Windows, their_llama, their_name
from sandbox.handoff.for_trainers import described, in_order, optimizer, places, rules_for, scheduler
from sandbox.handoff.reading import read, write
from sandbox.handoff.schema import ParametrisationPart, Transferred
from sandbox.models.cuts import adam_mini
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build, roles_of
from sandbox.models.llama import LlamaConfig
from sandbox.models.roles import roles
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import advance
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.rso import RSO
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise
from tests.handoff.made import HIDDEN, card_of, on_hidden, problem_in


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return problem_in(tmp_path_factory.mktemp("text"))


def methods(problem):
    """One of each kind: entrywise, cut by heads, factored, a frame from data, a frame that draws."""
    cuts = adam_mini(problem.roles, problem.shapes)
    return {
        "adamw": AdamW(0.02, weight_decay=0.1),
        "adam-mini": {name: AdamMini(0.02, n_blocks=cut.n_blocks, dim=cut.dim) for name, cut in cuts.items()},
        "adalomo": AdaLomo(0.05),
        "galore": on_hidden(problem, GaLore(Adam(0.02), rank=2, update_gap=3), Adam(0.01)),
        "rso": on_hidden(problem, RSO(Adam(0.02), rank=2, update_gap=3), Adam(0.02)),
    }


def plain_loop(model, problem, card, loss_of):
    made = optimizer(card, model)
    schedule, losses = scheduler(card, made), []
    for k in range(10):
        made.zero_grad()
        loss = loss_of(model, problem.batch(0, k))
        loss.backward()
        made.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def our_loss(model, batch):
    return nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


def hugging_face(problem):
    """Hugging Face's Llama of the same sizes with the weights of ours."""
    pytest.importorskip("transformers", reason="needs transformers, of the extra [scale]")
    return their_llama(problem.model, 0)


def their_loss(model, batch):
    return model(input_ids=batch, labels=batch).loss


METHODS = ("adamw", "adam-mini", "adalomo", "galore", "rso")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shell", ["stepwise", "fused"])
def test_ten_steps_of_a_plain_loop_are_the_cards(problem, method, shell):
    card = card_of(problem, methods(problem)[method], shell=shell)
    model = build(problem.model, 0)
    assert isinstance(optimizer(card, build(problem.model, 0)), {"stepwise": Stepwise, "fused": Fused}[shell])
    assert difference(card.canary, plain_loop(model, problem, card, our_loss)) is None


@pytest.mark.parametrize("method", METHODS)
def test_ten_steps_on_another_codes_llama_are_the_cards(problem, method):
    """Within the card's rtol, 1e-5: their attention and losses are summed in another order, 6e-8 an operation, over ten steps."""
    card = card_of(problem, methods(problem)[method])
    assert difference(card.canary, plain_loop(hugging_face(problem), problem, card, their_loss)) is None


def trainer_losses(problem, card, model, folder):
    """Of ten steps of Hugging Face's Trainer with the card's optimizer, on the windows of the card."""
    from transformers import Trainer, TrainingArguments

    losses = []

    class InOrder(Trainer):
        def get_train_dataloader(self):
            return torch.utils.data.DataLoader(self.train_dataset, batch_size=2, shuffle=False)

        def compute_loss(self, *args, **kwargs):
            loss = super().compute_loss(*args, **kwargs)
            losses.append(float(loss.detach() if isinstance(loss, torch.Tensor) else loss[0]))
            return loss

    made = optimizer(card, model)
    arguments = TrainingArguments(
        str(folder), max_steps=10, per_device_train_batch_size=2, max_grad_norm=0.0, use_cpu=True, report_to=[], save_strategy="no",
        disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    InOrder(model, arguments, train_dataset=Windows(problem, 0), optimizers=(made, scheduler(card, made))).train()
    return losses


@pytest.mark.parametrize("method", ["adamw", "rso"])
def test_ten_steps_of_the_trainer_of_hugging_face_are_the_cards(problem, method, tmp_path):
    model = hugging_face(problem)
    pytest.importorskip("accelerate", reason="needs accelerate, of the extra [scale]")
    card = card_of(problem, methods(problem)[method])
    assert difference(card.canary, trainer_losses(problem, card, model, tmp_path)) is None


def test_tensors_of_another_model_stand_in_the_order_of_the_cards(problem):
    """Frames draw by position: in their own order the two codes' tensors would see each other's bases."""
    theirs, own = roles(hugging_face(problem)), problem.roles
    assert in_order(own, theirs) == [their_name(name) for name in own]
    assert list(theirs) != [their_name(name) for name in own]


@pytest.mark.parametrize("config", [GPTConfig(30, 16, 2, 4, 8), LlamaConfig(30, 16, 3, 4, 8), LlamaConfig(30, 16, 12, 4, 8, tied=True)])
def test_a_models_own_order_is_kept(config):
    own = roles_of(config)
    assert in_order(own, own) == list(own)
    assert len(set(places(own).values())) == len(own)


def test_a_tensor_of_a_kind_that_the_card_lacks_comes_last_of_its_layer():
    own, theirs = roles_of(LlamaConfig(30, 16, 1, 4, 8)), roles_of(GPTConfig(30, 16, 1, 4, 8))
    ordered = [name for name in in_order(own, theirs) if name.startswith("blocks.0")]
    assert [theirs[name].kind for name in ordered][-1] == "bias" and len(ordered) == sum(name.startswith("blocks.0") for name in theirs)


LR = {"value": -1.0, "low": -1.2, "high": -0.8, "widths": [16, 32], "seeds": 3, "base_width": 16, "base_value": 0.04}


def wider(problem, width=32):
    return replace(problem.model, width=width, ffn=2 * width)


def test_the_lr_at_another_width_follows_the_cards_rule(problem):
    """value -1: half of base_value at twice the base width, whatever the lr of the card's own width; a named lr wins."""
    card = card_of(problem, AdamW(0.02), transfer={"lr": Transferred(**LR)})
    model = build(wider(problem), 0)
    assert {rule.lr for rule in rules_for(card, model).values()} == {0.02}
    assert {rule.lr for rule in rules_for(card, build(wider(problem, 64), 0)).values()} == {0.01}
    assert [rule.lr for rule in rules_for(card, model, lr=0.3).values()] == pytest.approx([0.3] * 21)  # lr and its ratio: two roundings


def test_the_parametrisation_gives_each_kind_its_factor(problem):
    """mu: hidden matrices and the head at (32 / 16)^-1 of the tables and gains, whose lr is the predicted one."""
    exponents = dict.fromkeys((*HIDDEN, "head"), -1.0) | {"embedding": 0.0, "norm": 0.0}
    part = ParametrisationPart(name="mu", base_width=16, exponents=exponents)
    card = card_of(problem, AdamW(0.02), transfer={"lr": Transferred(**LR | {"value": 0.0, "low": 0.0, "high": 0.0})}, parametrisation=part)
    model = build(wider(problem), 0)
    found, kinds = rules_for(card, model), {name: role.kind for name, role in roles(model).items()}
    for name, rule in found.items():
        assert rule.lr == pytest.approx(0.04 / (2 if exponents[kinds[name]] else 1), rel=1e-12)  # two products in float64


def test_without_a_rule_another_width_is_refused(problem):
    card = card_of(problem, AdamW(0.02))
    with pytest.raises(ValueError, match="no rule: the card does not say how the learning rate of AdamW follows the width, .* 32 wide"):
        optimizer(card, build(wider(problem), 0))


def test_the_cuts_of_another_width_are_those_of_its_heads(problem):
    card = card_of(problem, methods(problem)["adam-mini"], transfer={"lr": Transferred(**LR)})
    model = build(replace(wider(problem), heads=8), 0)
    cuts = adam_mini(roles(model), {name: tuple(w.shape) for name, w in model.named_parameters()})
    found = rules_for(card, model)
    assert {name: (rule.n_blocks, rule.dim) for name, rule in found.items()} == {n: (cut.n_blocks, cut.dim) for n, cut in cuts.items()}
    assert found["blocks.0.attention.query.weight"].n_blocks == 8


def test_a_gpt2_of_hugging_face_takes_a_llamas_settings(problem):
    """Its fused query-key-value is framed as a query is, biases and gains are not."""
    pytest.importorskip("transformers", reason="needs transformers, of the extra [scale]")
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=30, n_positions=9, n_embd=16, n_layer=1, n_head=4))
    made = rules_for(card_of(problem, methods(problem)["galore"]), model)
    framed = {name.removeprefix("transformer.h.0.") for name, rule in made.items() if isinstance(rule, GaLore)}
    assert framed == {f"{layer}.weight" for layer in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")}


def test_a_frame_acts_on_the_same_side_of_a_matrix_that_is_stored_the_other_way_round(problem):
    """GPT-2 keeps inputs first: what GaLore does to a square W there is what it does to the transpose here."""
    pytest.importorskip("transformers", reason="needs transformers, of the extra [scale]")
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(vocab_size=30, n_positions=9, n_embd=16, n_layer=1, n_head=4))
    rule = rules_for(card_of(problem, methods(problem)["galore"]), model)["transformer.h.0.attn.c_proj.weight"]
    ours = rules_for(card_of(problem, methods(problem)["galore"]), build(problem.model, 0))["blocks.0.attention.out.weight"]
    w, g = (torch.randn(16, 16, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    there, here = (advance(one, x, one.init(y), y, 0)[0] for one, x, y in ((rule, g.T, w.T), (ours, g, w)))
    torch.testing.assert_close(there.T, here, rtol=1e-4, atol=1e-7)  # two decompositions in float32
    with pytest.raises(ValueError, match="no rule: GWT acts along the last axis, and transformer.h.0.attn.c_attn.weight is stored"):
        rules_for(card_of(problem, on_hidden(problem, GWT(Adam(0.02), level=1), Adam(0.02))), model)


def test_bfloat16_weights_may_have_a_float32_state(problem):
    model = build(problem.model, 0).to(torch.bfloat16)
    made = optimizer(card_of(problem, AdamW(0.02)), model, state_dtype=torch.float32, rounding="stochastic")
    our_loss(model, problem.batch(0, 0)).backward()
    made.step()
    assert {made.state[w]["v"].dtype for w in model.parameters()} == {torch.float32}


def test_without_a_schedule_the_rate_stays(problem):
    card = card_of(problem, AdamW(0.02), schedule=None)
    schedule = scheduler(card, optimizer(card, build(problem.model, 0)))
    assert [schedule.lr_lambdas[0](k) for k in range(3)] == [1.0] * 3 and schedule.get_last_lr() == [0.02]


def test_frozen_tensors_are_left_out(problem):
    model = build(problem.model, 0)
    model.embedding.weight.requires_grad_(False)
    made = optimizer(card_of(problem, AdamW(0.02)), model)
    held = {id(w) for group in made.param_groups for w in group["params"]}
    assert held == {id(w) for w in model.parameters() if w.requires_grad}


def test_it_is_found_where_the_readme_says():
    """And not the module of the same name: there is none."""
    import sandbox.handoff
    from sandbox.handoff import for_trainers

    assert sandbox.handoff.optimizer is for_trainers.optimizer and sandbox.handoff.scheduler is for_trainers.scheduler
    with pytest.raises(AttributeError, match="no attribute 'optimiser'"):
        sandbox.handoff.optimiser  # noqa: B018


def test_a_model_of_unknown_roles_is_refused_with_the_row_to_add(problem):
    with pytest.raises(ValueError, match="no role is known for parameter '0.weight'.* Add to TABLE"):
        optimizer(card_of(problem, AdamW(0.02)), nn.Sequential(nn.Linear(3, 3)))


def test_a_model_without_a_table_of_tokens_has_no_width():
    with pytest.raises(ValueError, match="none of its 2 tensors is of the kind 'embedding'"):
        described(nn.LayerNorm(3))


def test_a_card_that_was_changed_is_refused(problem, tmp_path):
    path = tmp_path / "card.json"
    write(card_of(problem, AdamW(0.02)), path)
    assert read(path)[1] == [] and isinstance(optimizer(path, build(problem.model, 0)), Stepwise)
    path.write_text(path.read_text().replace('"lr": 0.02', '"lr": 0.03'))
    with pytest.raises(ValueError, match="the card may not be used: the digest"):
        optimizer(path, build(problem.model, 0))


def test_the_tolerance_sees_another_order_of_the_draws(problem):
    """So the agreement above is no accident: one seed further and the ten losses are not the card's."""
    card = card_of(problem, methods(problem)["rso"])
    other = card.model_copy(update={"canary": card.canary.model_copy(update={"seed": 1})})
    losses = plain_loop(build(problem.model, 0), problem, other, our_loss)
    assert "must be reproduced" in difference(card.canary, losses) and card.canary.rtol == RTOL
