"""SHERL: its weights against a loop, where gradients go and what is kept, what a gate of 0 costs, and its problems."""

from dataclasses import replace
from math import exp, log

import pytest
import torch
from torch import nn
from torch.func import grad

from sandbox.draws import generator, normal
from sandbox.memory.meters import saved_bytes
from sandbox.models.finetuning import ClassificationProblem, ContinuationProblem
from sandbox.models.gpt import Block, GPTConfig
from sandbox.models.initial import build
from sandbox.models.llama import LlamaConfig
from sandbox.models.roles import roles
from sandbox.models.sherl import Route, Sherl, SherlConfig, redundancy, shares
from sandbox.models.sherl_finetuning import SherlClassification, SherlContinuation, whole
from sandbox.problems.base import Problem

GPT, LLAMA = (
    GPTConfig(vocab=9, width=8, layers=3, heads=2, context=5),
    LlamaConfig(vocab=9, width=8, layers=3, heads=2, kv_heads=1, context=5),
)
TOKENS = torch.tensor([[1, 2, 3, 4, 0], [8, 7, 6, 5, 5]])
each_backbone = pytest.mark.parametrize("backbone", [GPT, LLAMA], ids=["gpt", "llama"])


def sherl(backbone: GPTConfig | LlamaConfig = GPT, seed: int = 0, **route) -> Sherl:
    """Every parameter away from its start, so that none of them hides."""
    model = build(SherlConfig(backbone, Route(**route)), seed, torch.float64)
    for i, p in enumerate(model.parameters()):
        p.data += 0.3 * normal(tuple(p.shape), generator(seed, i, 1))
    return model


def by_hand(model: Sherl, tokens: torch.Tensor) -> torch.Tensor:
    """Token by token and layer by layer, with features that hooks take from the plain backbone."""
    features, route = [], model.config.route
    hooks = [model.backbone.blocks[0].register_forward_pre_hook(lambda _, given: features.append(given[0]))]
    hooks += [block.register_forward_hook(lambda _, given, out: features.append(out)) for block in model.backbone.blocks]
    model.backbone(tokens)
    for hook in hooks:
        hook.remove()
    features = features[: len(model.downs)]
    x = torch.empty_like(features[0])
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            d = [down.norm(down.linear.weight @ f[b, t] + down.linear.bias) for down, f in zip(model.downs, features, strict=True)]
            score = []
            for one in d:
                cosines = [(one @ other / one.norm() / other.norm()).clamp(min=0) for other in d]
                w, c = model.score.weight[0], model.score.bias[0]
                score.append((w @ (one * d[-1]) + c).clamp(min=0) / (sum(cosines) if route.redundancy == "on" else 1))
            u = d[-1] + (sum(s * one for s, one in zip(score, d, strict=True)) / sum(score) if sum(score) > 0 else 0)
            keep = torch.tanh(model.gate[0] / 0.1) if route.merge == "gate" else 1
            x[b, t] = model.norm(model.up.weight @ u.clamp(min=0) + model.up.bias) + keep * features[-1][b, t]
    return x


@each_backbone
@pytest.mark.parametrize("route", [{}, {"merge": "add"}, {"redundancy": "off"}, {"late": 0}, {"late": 3, "reduction": 4}], ids=str)
def test_the_route_against_a_loop_over_tokens(backbone, route):
    model, seen = sherl(backbone, **route), []
    (model.backbone.blocks[len(model.downs) - 1] if model.config.route.late else model.backbone.norm).register_forward_pre_hook(
        lambda _, given: seen.append(given[0])
    )
    logits = model(TOKENS)
    entered = seen[0]
    torch.testing.assert_close(entered, by_hand(model, TOKENS), rtol=0, atol=1e-12)
    assert logits.shape == (2, 5, 9) and len(model.downs) == 4 - model.config.route.late


def test_copies_of_a_feature_share_its_weight():
    """H1: four orthogonal features with scores 1, 2, 3, 4; the first three times. Exact, because the cosines are 0 and 1."""
    unit, scores = torch.eye(4, dtype=torch.float64), torch.tensor([1.0, 2, 3, 4], dtype=torch.float64)
    copied = [0, 0, 0, 1, 2, 3]
    d, s = 2 * unit[copied][:, None, None], scores[copied][:, None, None]
    weights = shares(s / redundancy(d)).flatten()
    assert weights[:3].sum().item() == pytest.approx(0.1, rel=1e-15) and weights[3:].tolist() == pytest.approx([0.2, 0.3, 0.4], rel=1e-15)
    assert shares(s).flatten()[:3].sum().item() == pytest.approx(0.25, rel=1e-15)  # without: 3 of 12
    opposite = d * d.new_tensor([-1, 1, 1, 1, 1, 1])[:, None, None, None]
    assert redundancy(opposite).flatten().tolist() == [1, 2, 2, 1, 1, 1]  # opposites do not count


def test_a_dead_route_hands_on_the_deep_feature_alone():
    """No positive score: the sum is 0, not nan, and the other layers and the scorer get no gradient."""
    model = sherl()
    model.score.bias.data -= 1e3
    features, _ = model.early(TOKENS)
    assert torch.equal(model.aggregated(features), model.downs[-1](features[-1]))
    model(TOKENS).square().sum().backward()
    assert not model.score.weight.grad.any() and not model.downs[0].linear.weight.grad.any()
    assert model.downs[-1].linear.weight.grad.any()


@pytest.mark.parametrize("n", [1, 3, 6])
def test_the_share_of_dead_tokens_at_the_start_is_two_to_the_minus_n(n):
    """H7, for independent features and a scorer drawn per token: N independent fair signs; 5 standard errors of 20000."""
    d, w = normal((n, 20000, 7), generator(n)), normal((20000, 7), generator(n, 1))
    dead = ((w * d * d[-1]).sum(-1) <= 0).all(0).double().mean().item()
    p = 2.0**-n
    assert abs(dead - p) <= 5 * (p * (1 - p) / 20000) ** 0.5


@each_backbone
def test_gradients_stop_at_the_late_blocks(backbone):
    """H3, even where somebody asks for the backbone's gradients: late block, norm and head have them, nothing before."""
    model = sherl(backbone)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {
        n for n, _ in model.named_parameters() if "backbone" not in n
    }
    model.backbone.requires_grad_(True)
    model(TOKENS).square().sum().backward()
    having = {name.removeprefix("backbone.") for name, p in model.named_parameters() if p.grad is not None and "backbone" in name}
    late = {name for name, _ in model.backbone.named_parameters() if name.split(".")[0] in ("norm", "head") or name.startswith("blocks.2.")}
    tied = {"embedding.weight"} if backbone.tied else set()
    assert having == late | tied
    assert all(p.grad.abs().sum() > 0 for name, p in model.named_parameters() if "backbone" not in name)


def kept(early: int, late: int, width: int = 8, reduction: int = 2) -> int:
    """Bytes of float32 that `early` and `late` blocks keep for backward, logits of the sum apart."""
    backbone = GPTConfig(vocab=9, width=width, layers=early + late, heads=2, context=5)
    model = build(SherlConfig(backbone, Route(late=late, reduction=reduction)), 0)
    return saved_bytes(lambda: model.hidden_states(TOKENS), [*model.parameters(), *model.buffers()])


def test_a_late_block_keeps_what_a_frozen_block_keeps():
    """H2: exactly affine in the late blocks, at a fixed number of early ones."""
    block = Block(GPTConfig(vocab=9, width=8, heads=2)).requires_grad_(False)
    alone = saved_bytes(lambda: block(torch.randn(2, 5, 8, requires_grad=True)), block.parameters())
    found = [kept(early=2, late=late) for late in range(5)]
    assert {b - a for a, b in zip(found, found[1:], strict=False)} == {alone}


def test_an_early_block_keeps_one_tensor_of_full_width():
    """H2: per early block B T (4 D + bytes that do not depend on D), and N^2 numbers of redundancy per token: not affine."""
    found = [kept(early=early, late=1) for early in range(1, 6)]
    first = [b - a for a, b in zip(found, found[1:], strict=False)]
    assert {b - a for a, b in zip(first, first[1:], strict=False)} == {2 * 4 * 10}  # (N + 1)^2 - N^2 grows by 2
    wide = [kept(early=early, late=1, width=16, reduction=4) for early in (1, 2)]  # h = 4 as above, D = 16 for 8
    assert (wide[1] - wide[0]) - first[0] == 10 * 4 * 8


@each_backbone
def test_adding_to_a_silent_route_keeps_the_pretrained_function(backbone):
    """H6: with the last gain and bias at 0 the additive form is the base to the bit; the gate at 0 forgets f_{N-1} whatever it is."""
    model = sherl(backbone, merge="add")
    model.norm.weight.data.zero_()
    model.norm.bias.data.zero_()
    assert torch.equal(model(TOKENS), model.backbone(TOKENS)) and not hasattr(model, "gate")
    gated = sherl(backbone)
    gated.gate.data.zero_()
    gated.norm.weight.data.zero_()
    rows = gated(TOKENS)[:, 0]
    assert torch.equal(rows[0], rows[1])  # two different first tokens, one answer
    assert not torch.equal(gated.backbone(TOKENS)[0, 0], gated.backbone(TOKENS)[1, 0])


def test_every_parameter_has_a_role():
    kinds = {name: role.kind for name, role in roles(sherl()).items() if "backbone" not in name}
    assert kinds["downs.0.linear.weight"] == kinds["score.weight"] == kinds["up.weight"] == "hidden"
    assert kinds["gate"] == "bias" and kinds["norm.weight"] == kinds["downs.1.norm.weight"] == "norm"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Route(late=-1), "a route needs late >= 0"),
        (lambda: Route(late=1.5), "late and reduction of a route must be ints, got 1.5 and 2"),
        (lambda: Route(merge="sum"), 'merge "gate" or "add"'),
        (lambda: SherlConfig(GPT, Route(late=4)), "late must be at most the 3 blocks of the backbone, got 4"),
        (lambda: SherlConfig(GPT, Route(reduction=3)), "reduction"),
        (lambda: sherl()(torch.zeros(1, 6, dtype=torch.long)), "context"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


CONTINUATION, CLASSIFICATION = SherlContinuation(), SherlClassification()
each_problem = pytest.mark.parametrize("problem", [CONTINUATION, CLASSIFICATION], ids=lambda p: type(p).__name__)


@each_problem
def test_a_problem_of_the_trained_parameters_alone(problem):
    assert isinstance(problem, Problem) and problem.facts.f_star is None
    w = problem.start(0)
    assert list(w) == list(problem.roles) == list(problem.shapes) == [n for n, p in problem.module().named_parameters() if p.requires_grad]
    assert {name: tuple(p.shape) for name, p in w.items()} == problem.shapes
    assert not any(("backbone" in name.removeprefix("backbone.") and "blocks" in name) for name in w)
    assert all(torch.equal(w[n], p) for n, p in problem.start(0).items()) and any((w[n] != p).any() for n, p in problem.start(1).items())


@each_problem
def test_a_step_downhill_lowers_the_loss(problem):
    w, batch = problem.start(0), problem.batch(0, 0)
    g = grad(problem.loss)(w, batch)
    assert problem.loss({name: w[name] - 1e-3 * g[name] for name in w}, batch) < problem.loss(w, batch)
    meta = {name: p.to("meta") for name, p in w.items()}  # stands for any other device
    assert problem.loss(meta, batch).device.type == "meta"


def test_the_frozen_part_is_the_base():
    """The early features of the problem's model are those of the base: its loss with a silent additive route is the base's."""
    task = ContinuationProblem(dtype="float64")
    problem, batch = SherlContinuation(task, Route(merge="add")), task.batch(0, 0)
    w = problem.start(0)
    silent = w | {name: torch.zeros_like(w[name]) for name in ("norm.weight", "norm.bias")}
    assert problem.loss(silent, batch).item() == task.loss(task.start(0), batch).item()
    classification = SherlClassification(ClassificationProblem())
    names = whole(classification, classification.start(0))
    assert set(names) == {name for name, _ in classification.module().named_parameters()}
    assert problem.held_out(silent) == pytest.approx(task.held_out(task.start(0)), rel=1e-12)


def test_a_gate_of_zero_starts_above_chance_level_and_addition_near_the_base():
    """H6, on text: chance is log V; addition ends on the base's side of the middle between the two. No late block, 3 seeds."""
    task = ContinuationProblem()
    batch, chance = task.batch(0, 0), log(task.language.model.vocab)
    base = task.loss(task.start(0), batch).item()
    for seed in range(3):
        gated, added = (SherlContinuation(task, Route(late=0, merge=merge)) for merge in ("gate", "add"))
        assert gated.loss(gated.start(seed), batch).item() > chance
        assert added.loss(added.start(seed), batch).item() < base + (chance - base) / 2


def test_classification_counts_right_answers():
    """A head that always names the first of three equal classes: right in 1 of 3, log(1 + 2 e^-9) there and 9 more elsewhere."""
    problem = replace(CLASSIFICATION, task=ClassificationProblem(books=(41, 45, 66)))
    w = problem.start(0)
    sure = w | {"classes.weight": torch.zeros_like(w["classes.weight"]), "classes.bias": torch.tensor([9.0, 0.0, 0.0])}
    assert problem.accuracy(sure) == pytest.approx(1 / 3, rel=1e-12)
    assert problem.held_out(sure) == pytest.approx(6 + log(1 + 2 * exp(-9)), rel=1e-6)  # float32 logits
    assert isinstance(problem.module(), nn.Module)
