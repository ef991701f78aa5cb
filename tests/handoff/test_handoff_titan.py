"""A card inside torchtitan's own container, configuration and schedule, on a CPU. Skipped where torchtitan is not installed: it wants a
nightly build of PyTorch for training, and is no dependency of this package.
"""

import pytest
import torch
from torch import nn

from sandbox.handoff.canary import canary, forecast
from sandbox.handoff.export.torchtitan import torchtitan
from sandbox.handoff.for_trainers import optimizer, scheduler
from sandbox.handoff.reading import read, write
from sandbox.handoff.recipe import Recipe, parts_of
from sandbox.handoff.schema import SCHEMA, sealed
from sandbox.models.initial import build
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.galore import GaLore
from sandbox.run import Schedule

pytest.importorskip("torchtitan", reason="torchtitan 0.3 is not installed; it is no dependency, so its container is tried by hand")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

EVIDENCE = {
    "claim": "a.b", "statement": "s", "outcome": "HOLDS", "low": 0.0, "value": 0.0, "high": 0.0, "limit": 0.0, "margin": None, "seeds": 2,
    "code": "", "date": "", "versions": {}, "bound_digest": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text("a stitch in time saves nine, and all is well that ends well\n" * 150)
    model = LlamaConfig(vocab=30, width=16, layers=1, heads=2, context=8)
    return fitted(LanguageProblem(model, text=str(path), tokenizer=Characters(), batch_size=2))


@pytest.fixture
def path(problem, tmp_path):
    framed = GaLore(Adam(0.02), rank=2, update_gap=4)
    rules = {name: framed if role.kind in ("query", "ffn_in") else Adam(0.02) for name, role in problem.roles.items()}
    recipe = Recipe(problem, rules, steps=20, schedule=Schedule(20, 4, 0.1))
    data = {key: getattr(parts_of(recipe), key) for key in ("optimizer", "schedule", "model", "data", "parametrisation")}
    rest = {"transfer": None, "evidence": [EVIDENCE], "canary": canary(recipe), "forecast": forecast(recipe), "unvalidated": []}
    write(sealed({"schema": SCHEMA} | data | rest), tmp_path / "card.json")
    return tmp_path / "card.json"


def container(path, model):
    from sandbox.handoff.titan import CardOptimizers

    return CardOptimizers.Config(card=str(path)).build(model_parts=[model])


def step(model, made, problem, k):
    made.zero_grad()
    batch = problem.batch(0, k)
    nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten()).backward()
    made.step()


def same_weights(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_the_container_steps_as_the_cards_optimizer_does(problem, path):
    from sandbox.handoff.titan import schedule

    ours, theirs = build(problem.model, 0), build(problem.model, 0)
    plain, contained = optimizer(path, ours), container(path, theirs)
    our_schedule, their_schedule = scheduler(read(path)[0], plain), schedule(str(path), 20).build(optimizers=contained, training_steps=20)
    for k in range(20):
        assert plain.param_groups[0]["lr"] == pytest.approx(
            contained.optimizers[0].param_groups[0]["lr"], rel=1e-12
        )  # two orders of one sum
        step(ours, plain, problem, k)
        step(theirs, contained, problem, k)
        our_schedule.step(), their_schedule.step()
        contained.optimizers[0].param_groups[0]["lr"] = plain.param_groups[0]["lr"]
        contained.optimizers[0].param_groups[1]["lr"] = plain.param_groups[1]["lr"]
    assert same_weights(ours, theirs)


def test_its_checkpoint_before_the_first_step_changes_nothing(problem, path):
    """Their own container steps with zero gradients there, and GaLore would keep the basis of a zero matrix for four steps."""
    ours, theirs = build(problem.model, 0), build(problem.model, 0)
    plain, contained = optimizer(path, ours), container(path, theirs)
    contained.load_state_dict(contained.state_dict())
    for k in range(6):
        step(ours, plain, problem, k)
        step(theirs, contained, problem, k)
    assert same_weights(ours, theirs)


def test_it_goes_on_from_its_own_checkpoint(problem, path):
    whole, first = build(problem.model, 0), build(problem.model, 0)
    through, until = container(path, whole), container(path, first)
    for k in range(6):
        step(whole, through, problem, k)
    for k in range(3):
        step(first, until, problem, k)
    second = build(problem.model, 1)
    second.load_state_dict(first.state_dict())
    after = container(path, second)
    after.load_state_dict({key: x.clone() if isinstance(x, torch.Tensor) else x for key, x in until.state_dict().items()})
    for k in range(3, 6):
        step(second, after, problem, k)
    assert same_weights(whole, second)


def test_groups_by_regular_expression_are_refused(problem, path):
    from torchtitan.components.optimizer import ParamGroupConfig

    from sandbox.handoff.titan import CardOptimizers

    groups = [ParamGroupConfig(pattern=".*", optimizer_name="AdamW", optimizer_kwargs={"lr": 0.1})]
    with pytest.raises(ValueError, match="leave param_groups and optimizer_factory_kwargs_by_name empty"):
        CardOptimizers.Config(card=str(path), param_groups=groups).build(model_parts=[build(problem.model, 0)])


@pytest.mark.parametrize("rules", ["own shell", "native"])
def test_an_exported_configuration_is_theirs(problem, path, rules):
    """The text is executed, as their registry does, and steps the card's own model."""
    card, kinds = read(path)[0], {name: role.kind for name, role in problem.roles.items()}
    if rules == "native":
        card = card.model_copy(update={"optimizer": card.optimizer.model_copy(update={"frame": None, "partition": None})})
    made = torchtitan(card, kinds, str(path))
    assert made.same_code == (rules == "own shell")
    exec(made.text, found := {})
    assert found["TRAINING"].max_norm == float("inf") and found["TRAINING"].steps == 20
    model = build(problem.model, 0)
    contained = found["OPTIMIZER"].build(model_parts=[model])
    schedulers = found["LR_SCHEDULER"].build(optimizers=contained, training_steps=20)
    before = [w.detach().clone() for w in model.parameters()]
    step(model, contained, problem, 0)
    schedulers.step()
    assert not any(torch.equal(w, was) for w, was in zip(model.parameters(), before, strict=True))
    assert contained.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.02 * 2 / 4)  # the second step of four of warm-up
