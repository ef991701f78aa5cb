"""The words of Hugging Face's TrainingArguments, in its own parser and its own Trainer: what comes through, and each thing that is said to
be lost or ignored, tried. All of it in transformers 5.23; another version may have changed its mind.
"""

import warnings
from dataclasses import fields

import pytest
import torch

from sandbox.handoff.export.distance import LIMIT, of_trainer, on_this_machine, run_trainer
from sandbox.handoff.export.hf import hf
from sandbox.handoff.export.their_llama import Windows, their_llama
from sandbox.handoff.recipe import Recipe, recipe_of
from sandbox.models.gpt import GPTConfig
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.run import Schedule
from tests.handoff.made import HIDDEN, card_of, kinds_of, on_hidden, problem_in

pytest.importorskip("transformers", reason="needs transformers, of the extra [scale]")
pytest.importorskip("accelerate", reason="needs accelerate, of the extra [scale]")

WARM = Schedule(50, 20, 0.1)  # its warm-up, which is the same there, takes longer than the ten steps


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return problem_in(tmp_path_factory.mktemp("text"))


def exported(problem, rules, **changes):
    card = card_of(problem, rules, **{"schedule": WARM} | changes)
    return card, hf(card, kinds_of(problem))


def distance(problem, rules, **changes):
    card, made = exported(problem, rules, **changes)
    return of_trainer(card, recipe_of(card), made.arguments)


def lost(made):
    return {one.field for one in made.lost} - {"data", "schedule", "initial weights"}


def parsed(text, tmp_path):
    from transformers import HfArgumentParser, TrainingArguments

    (tmp_path / "arguments.yaml").write_text(text)
    return HfArgumentParser(TrainingArguments).parse_yaml_file(str(tmp_path / "arguments.yaml"))[0]


@pytest.mark.parametrize(
    "rules",
    [AdamW(1e-5, (0.85, 0.99), 1e-10, 0.1), AdaLomo(5e-4), GradientDescent(0.1, momentum=0.9), Adafactor(1e-3, parameter_scale="off")],
    ids=lambda rule: type(rule).__name__,
)
def test_every_field_comes_back_from_their_parser(problem, rules, tmp_path):
    card, made = exported(problem, rules)
    back = parsed(made.text, tmp_path)
    for name, value in made.arguments.items():
        found = getattr(back, name)
        assert getattr(found, "value", found) == value, name
    assert back.learning_rate == card.optimizer.rule["lr"] and type(back.learning_rate) is float


def test_every_field_that_decides_the_numbers_is_written(problem):
    """By name, out of all that TrainingArguments has: rates, schedules, decay, clipping, precision, batches and seeds."""
    from transformers import TrainingArguments

    words = ("adam_", "optim", "learning_rate", "lr_scheduler", "warmup", "decay", "grad_norm", "bf16", "fp16", "tf32", "seed", "max_steps")
    words += ("per_device_train", "accumulation", "smoothing", "neftune", "determinism", "average_tokens")
    known = {field.name for field in fields(TrainingArguments) if "eval" not in field.name}
    deciding = {name for name in known if any(word in name for word in words)}
    _, made = exported(problem, AdamW(0.02))
    assert deciding <= set(made.arguments) <= known and len(deciding) > 20


@pytest.mark.parametrize("rules", [Adam(0.02, (0.8, 0.95), 1e-6), GradientDescent(0.5, momentum=0.9)], ids=["adam", "sgd"])
def test_what_the_trainer_makes_of_it_is_ours_to_rounding(problem, rules):
    """Both in float64, but for what their model casts to float32 inside, the same on both sides."""
    found = distance(problem, rules)
    assert 0 <= found.value < 1e-4 < LIMIT


def test_decay_of_gains_is_lost_and_is_said(problem):
    _, made = exported(problem, AdamW(0.02, weight_decay=0.5))
    assert lost(made) == {"weight_decay"} and lost(exported(problem, AdamW(0.02, weight_decay=0.0))[1]) == set()
    found = distance(problem, AdamW(0.02, weight_decay=0.5))
    assert "norm" in found.tensor and found.worst > 0.01  # lr wd = 1 % of a gain a step at the full rate


def test_the_cosine_comes_a_step_early_and_the_warm_up_does_not(problem):
    from transformers.optimization import get_scheduler

    ours, (_, made) = Schedule(50, 5, 0.1), exported(problem, Adam(0.02), schedule=Schedule(50, 5, 0.1))
    sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    words = {"num_warmup_steps": made.arguments["warmup_steps"], "num_training_steps": made.arguments["max_steps"]}
    theirs = get_scheduler(
        made.arguments["lr_scheduler_type"], sgd, **words, scheduler_specific_kwargs=made.arguments["lr_scheduler_kwargs"]
    )
    factor = theirs.lr_lambdas[0]
    assert [factor(k) for k in range(5)] == pytest.approx([ours(k) for k in range(5)], rel=1e-12)
    assert [factor(k) for k in range(5, 49)] == pytest.approx([ours(k + 1) for k in range(5, 49)], rel=1e-12)


def test_adalomo_takes_its_rate_alone(problem):
    """Their optim_args never reach it."""
    from transformers import Trainer

    odd = AdaLomo(0.05, clip_threshold=0.5, decay_rate=-0.7)
    assert lost(exported(problem, odd)[1]) >= {"clip_threshold", "decay_rate"}
    arguments = exported(problem, odd)[1].arguments | {"optim_args": "clip_threshold=0.5"}
    with on_this_machine():
        from transformers import TrainingArguments

        made = TrainingArguments("unused", **arguments, use_cpu=True, report_to=[])
        _, kwargs = Trainer.get_optimizer_cls_and_kwargs(made, their_llama(problem.model, 0))
    assert set(kwargs) == {"lr", "model"}


def test_adalomo_of_the_trainer_against_ours(problem):
    pytest.importorskip("lomo_optim", reason="needs lomo-optim, of the extra [peers]")
    assert 0 < distance(problem, AdaLomo(0.05)).value < 1e-4 < LIMIT  # they compute in float32: 6e-8 an operation


def test_galore_of_the_trainer_is_another_one(problem):
    """The signs of its basis are what the decomposition gives, ours are fixed: the first refresh that keeps moments turns them over."""
    pytest.importorskip("galore_torch", reason="needs galore-torch, of the extra [peers]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # they call their own AdamW deprecated
        assert distance(problem, galore(problem, eps=1e-6)).value > 0.01 > LIMIT


def test_clipping_never_reaches_lomo(problem):
    pytest.importorskip("lomo_optim", reason="needs lomo-optim, of the extra [peers]")
    recipe, weights = Recipe(problem, AdaLomo(0.05), steps=50), []
    for norm in (1.0, 1e-3):
        model = their_llama(problem.model, 0)
        run_trainer(model, recipe, exported(problem, AdaLomo(0.05))[1].arguments | {"optim": "lomo", "max_grad_norm": norm}, 0)
        weights.append(torch.cat([w.detach().flatten() for w in model.parameters()]))
    assert torch.equal(*weights)


def galore(problem, **changes):
    return on_hidden(problem, GaLore(Adam(0.02, **changes), rank=2, update_gap=3), Adam(0.02, **changes))


def test_galore_keeps_its_own_betas_and_eps(problem):
    from transformers import Trainer, TrainingArguments

    pytest.importorskip("galore_torch", reason="needs galore-torch, of the extra [peers]")
    card, made = exported(problem, galore(problem, betas=(0.8, 0.95), eps=1e-8))
    assert lost(made) == {"betas", "eps"} and lost(exported(problem, galore(problem, eps=1e-6))[1]) == set()
    assert len(made.arguments["optim_target_modules"]) == len(HIDDEN)
    arguments = TrainingArguments("unused", **made.arguments | {"adam_beta1": 0.8, "adam_epsilon": 1e-3}, use_cpu=True, report_to=[])
    _, kwargs = Trainer.get_optimizer_cls_and_kwargs(arguments, their_llama(problem.model, 0))
    assert set(kwargs) == {"lr", "params"}
    framed = kwargs["params"][1]
    assert (framed["rank"], framed["update_proj_gap"], framed["scale"], framed["proj_type"]) == (2, 3, 0.25, "std")
    assert len(framed["params"]) == sum(tensor.framed for tensor in card.optimizer.partition.values())


def test_galore_adafactor_layerwise_still_raises(problem):
    from transformers import Trainer, TrainingArguments

    pytest.importorskip("galore_torch", reason="needs galore-torch, of the extra [peers]")
    words = exported(problem, galore(problem))[1].arguments | {"optim": "galore_adafactor_layerwise"}
    made = TrainingArguments("unused", **words, use_cpu=True, report_to=[])
    with pytest.raises(ValueError, match="Cannot combine manual `lr` and `relative_step=True`"):
        Trainer.get_optimizer_cls_and_kwargs(made, their_llama(problem.model, 0))


def test_factors_of_the_rate_are_lost_and_are_said(problem):
    factors = {name: 0.25 if kind in HIDDEN else 1.0 for name, kind in kinds_of(problem).items()}
    _, made = exported(problem, {name: Adam(0.04 * factor) for name, factor in factors.items()}, lr_factors=factors)
    assert lost(made) == {"lr_factor"}


def test_optimizers_without_a_name_are_refused_with_the_way_out(problem):
    with pytest.raises(ValueError, match="no name for AdamMini; give the Trainer the card's own shell instead: Trainer.optimizers="):
        exported(problem, AdamMini(0.02))


def test_a_model_that_is_no_llama_is_not_compared(problem):
    with pytest.raises(ValueError, match="the card's model is a GPTConfig"):
        their_llama(GPTConfig(30, 16, 1, 2, 8), 0)


def test_labels_count_as_many_as_there_are_predictions(problem):
    windows = Windows(problem, 0)
    assert len(windows) == 20 and (windows[3]["labels"] != -100).sum() == problem.model.context


def test_accumulation_becomes_a_step_per_micro_batch_with_lomo(problem):
    """Ten micro-batches of one window, accumulated by two, are ten steps at half the rate (each loss counts half), not five."""
    pytest.importorskip("lomo_optim", reason="needs lomo-optim, of the extra [peers]")
    recipe, weights = Recipe(problem, AdaLomo(0.05), steps=50), []
    words = exported(problem, AdaLomo(0.05), schedule=None)[1].arguments | {"optim": "lomo", "per_device_train_batch_size": 1}
    for accumulated, lr, steps in ((2, 0.1, 5), (1, 0.05, 10), (1, 0.05, 5)):
        model = their_llama(problem.model, 0).double()
        run_trainer(model, recipe, words | {"gradient_accumulation_steps": accumulated, "learning_rate": lr, "max_steps": steps}, 0)
        weights.append(torch.cat([w.detach().flatten() for w in model.parameters()]))
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-5, atol=1e-8)  # what they cast to float32 inside
    assert (weights[0] - weights[2]).norm() > 0.1  # five steps more go as far again, 0.5 of 0.8
