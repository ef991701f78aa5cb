"""The parts of a step: closed forms of alignment and of what a step does to words, and how they fit together on a small model."""

import math

import pytest
import torch
from torch.func import functional_call

from sandbox.draws import generator, normal
from sandbox.handoff.coordinates import moved, output_change
from sandbox.handoff.step_parts import FRESH, PARTS, Path, Response, alignment, look, looks, measure, model_change, slopes, spread_under
from sandbox.handoff.transfer_runs import Setting, problem_of, rules_of
from sandbox.models.initial import build

WIDTHS = (64, 128, 256, 512)
SMALL = Setting("adamw", width=32, layers=1, lr=1e-5, batch=1, steps=10)


def drawn(*shape: int) -> torch.Tensor:
    return normal(shape, generator(0, *shape))


def exponent(alignments: list[float]) -> float:
    return slopes(WIDTHS, [{"alignment": x} for x in alignments])["alignment"]


def test_a_step_of_one_direction_is_aligned_by_its_whole_width():
    """D = u v' and x = +- v: RMS(D x) = |v|^2 RMS(u), which is n times RMS(D) RMS(x), whatever the sizes."""
    u, signs = 3 * drawn(48), torch.tensor([1.0, -1.0, 5.0]).double()
    found = [alignment(torch.outer(u, v), signs[:, None] * v) for v in map(drawn, WIDTHS)]
    assert found == pytest.approx(list(WIDTHS), rel=1e-12)
    assert exponent(found) == pytest.approx(1)


def test_a_step_that_knows_nothing_of_its_input_is_aligned_by_the_root():
    """Independent normal entries: E (D x)^2 = n. 128 outputs at 200 tokens; at 64 inputs both factors spread by a hundredth or so."""
    found = [alignment(drawn(128, n), drawn(200, n)) for n in WIDTHS]
    assert found == pytest.approx([n**0.5 for n in WIDTHS], rel=0.05)
    assert exponent(found) == pytest.approx(0.5, abs=0.02)


def test_a_part_of_a_direction_beside_chance_lies_between():
    """D = a v v' + noise and x = v + noise: E (D x)^2 = a^2 (n^2 + n) + 2 n over (1 + a^2) 2, with both parts equal near n = 200."""
    found, a = [], 0.1
    for n in WIDTHS:
        v = drawn(n, 1).squeeze()
        found.append(alignment(a * torch.outer(v, v) + drawn(n, n), v + drawn(200, n)))
    wanted = [((a * a * (n * n + n) + 2 * n) / (1 + a * a) / 2) ** 0.5 for n in WIDTHS]
    assert found == pytest.approx(wanted, rel=0.15)  # |v|^2 is n to a sixth at 64
    assert 0.6 < exponent(found) < 0.9


def test_the_spread_of_a_change_over_two_words_and_of_a_shift_of_all():
    """Var of a change of 1 in a word of probability q is q (1 - q); what all words share changes nothing."""
    p = torch.tensor([[0.3, 0.7], [0.5, 0.5]]).double()
    change = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).double()
    wanted = math.sqrt((0.3 * 0.7 + 0.25) / 2)
    assert spread_under(p, change) == pytest.approx(wanted) == pytest.approx(spread_under(p, change + 7))
    assert spread_under(p, torch.ones(2, 2).double()) == 0


@pytest.fixture(scope="module")
def step():
    """(problem, weights before, after) of two small steps from the start."""
    problem = problem_of(SMALL)
    return problem, problem.start(0), moved(problem, rules_of(SMALL, problem.problem), 2, 0)


def test_words_move_by_the_divergence_of_the_model_from_itself(step):
    """KL(p before || p after t steps) = t^2 model^2 / 2 + O(t^3): halving t halves what is left."""
    problem, before, after = step
    module, tokens = build(problem.problem.model, 0).double(), problem.batch(0, FRESH)[:, :-1]
    params = {name: w.double() for name, w in before.items()}
    delta = {name: (after[name].double() - w) / SMALL.lr for name, w in params.items()}
    found = model_change(module, params, delta, tokens, near=1e-4)
    errors = []
    for t in (4e-3, 2e-3):
        log_p, log_q = (
            functional_call(module, {name: w + s * delta[name] for name, w in params.items()}, (tokens,)).log_softmax(-1) for s in (0.0, t)
        )
        divergence = float((log_p.exp() * (log_p - log_q)).sum(-1).mean())
        errors.append(abs((2 * divergence) ** 0.5 / t - found))
    assert errors[0] < 0.05 * found
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.2)


def test_a_look_has_the_change_of_the_coordinate_check_as_the_product_of_its_parts(step):
    """The coordinate check takes x from the end of the step and float32, here from its beginning: 1e-5 and rounding apart."""
    problem, before, after = step
    batch = problem.batch(0, FRESH)
    seen = look(problem, before, after, SMALL.lr, batch)
    assert seen["hidden"] == pytest.approx(output_change(problem, before, after, batch) / SMALL.lr, rel=1e-2)
    twice = look(problem, before, after, SMALL.lr / 2, batch)
    assert {part for part in PARTS if twice[part] / seen[part] == pytest.approx(2, rel=1e-3)} == {"size", "hidden", "model"}


def test_the_first_step_of_adam_has_the_size_of_its_rate():
    """|delta| = lr / 2 in the first of two steps of warm-up: per unit of the base rate the width factor, 64 / 32; eps hardly counts."""
    seen = looks(Setting("adamw", width=32, layers=1, lr=1e-3, steps=20, batch=1), 0)
    assert seen["size_first"] == pytest.approx(2, rel=1e-2)
    assert set(seen) == {f"{part}_{phase}" for part in PARTS for phase in ("first", "peak")}
    assert seen["hidden_peak"] == pytest.approx(seen["size_peak"] * seen["alignment_peak"] * seen["input_peak"])


def test_slopes_are_those_of_power_laws():
    each = [{"a": 3 * n**-1.5, "b": 2.0} for n in WIDTHS]
    assert slopes(WIDTHS, each) == pytest.approx({"a": -1.5, "b": 0.0}, abs=1e-12)


@pytest.mark.parametrize("setting", [Path("adalomo", 0.01, widths=(16, 32), steps=10), Response("adamw", (0.001, 0.002), 16, steps=10)])
def test_a_row_holds_slopes_of_what_it_shows(setting):
    (row,) = measure(setting, (0,))
    points = setting.widths if isinstance(setting, Path) else setting.rates
    shown = [row[f"model_peak_{point:g}"] for point in points]
    assert row["model_peak"] == pytest.approx(math.log(shown[1] / shown[0]) / math.log(2))
    if isinstance(setting, Response):  # the first step is the same one, at whatever rate
        assert row["model_first"] == pytest.approx(0, abs=0.01)


def test_the_module_of_a_look_is_a_copy(step):
    """A look in float64 leaves no float64 module behind for the next caller."""
    problem, before, after = step
    look(problem, before, after, SMALL.lr, problem.batch(0, FRESH))
    assert {p.dtype for p in build(problem.problem.model, 0).parameters()} == {torch.float32}
