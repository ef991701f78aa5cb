"""The LOMO claims as records, and their checkers under planted faults.

Nothing here is a number of a run. A fault that people make (a tensor that is never moved, gradients that are kept) must
turn the verdict, and other seeds must not.
"""

from dataclasses import replace

import pytest

from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.ways import Ways
from sandbox.verdict import Outcome

# --- LOMO is SGD


def llama(claim, reference):
    return next(s for s in claim.plan.settings if s.model == "llama" and s.reference == reference)


def test_a_tensor_that_is_never_moved_is_noticed(claim, monkeypatch, rejudged):
    honest = Ways.alone  # the fused shell's alone

    def alone(self, slot, w):
        return (lambda *step: None) if slot.name == "norm.weight" else honest(self, slot, w)

    monkeypatch.setattr(Ways, "alone", alone)
    one = claim["lomo.equals-sgd"]
    assert rejudged(one, settings=(replace(llama(one, "stepwise"), steps=2),), seeds=(0,)) is Outcome.VIOLATED


def test_another_learning_rate_is_noticed(claim, module, monkeypatch, rejudged):
    honest = module["lomo_is_sgd"].run

    def faulty(problem, rule, *, shell, **k):
        return honest(problem, GradientDescent(rule.lr * (1 + 1e-6 * (shell == "fused"))), shell=shell, **k)

    monkeypatch.setattr(module["lomo_is_sgd"], "run", faulty)
    one = claim["lomo.equals-sgd"]
    for reference in ("torch.optim.SGD", "stepwise"):
        assert rejudged(one, settings=(llama(one, reference),), seeds=(0,)) is Outcome.VIOLATED


def test_equality_is_not_that_nothing_moved(claim):
    """Every tensor gets a gradient, so most entries must have left their start; rows of absent characters need not."""
    one = claim["lomo.equals-sgd"]
    for values in one.measure(llama(one, "stepwise"), (3,)):
        assert values["differing"] == 0
        assert values["moved"] > 0.5 * values["entries"]


# --- gradient memory


def test_gradients_that_are_kept_violate_the_bound(claim, module, monkeypatch, rejudged):
    """Without a hook all gradients stay: their sum over the largest tensor, by counting."""
    memory = module["lomo_gradient_memory"]
    monkeypatch.setattr(memory, "hooked", lambda model, update: None)
    one = claim["lomo.gradient-memory"]
    setting = one.plan.settings[0]
    sizes = [p.numel() for p in memory.model_of(setting, 0).parameters()]
    assert one.measure(setting, (0,))[0]["stored"] == sum(sizes) / max(sizes)
    assert rejudged(one, seeds=(0,)) is Outcome.VIOLATED


def test_the_embedding_is_the_largest_tensor_and_is_once_there_when_tied(claim, module):
    memory = module["lomo_gradient_memory"]
    for tied, copies in ((True, 1), (False, 2)):
        sizes = sorted(p.numel() for p in memory.model_of(memory.Backward("gpt", tied), 0).parameters())
        largest = memory.SIZES["vocab"] * memory.SIZES["width"]
        assert sizes.count(largest) == copies and sizes[-1] == largest


def test_two_and_three_tensors_are_told_apart(claim, rejudged):
    """Each equality judged on the rows of the other."""
    two, three = claim["lomo.gradient-memory.our-shell.two"], claim["lomo.gradient-memory.tied.three"]
    assert rejudged(two, settings=three.plan.settings[:1]) is Outcome.VIOLATED
    assert rejudged(three, settings=two.plan.settings[:1]) is Outcome.VIOLATED


def test_tau_of_the_allocator_is_below_one_more_tensor(claim):
    """Two, and three, tensors must be told from one."""
    assert all(claim[f"lomo.gradient-memory.{name}"].tau < 0.5 for name in ("allocated", "tied", "our-shell"))


# --- Table 1


def test_a_wrong_number_of_bytes_is_noticed(claim, module, monkeypatch, rejudged):
    monkeypatch.setitem(module["lomo_table_1"].BYTES_A_PARAMETER, "AdamW states", 8)
    assert rejudged(claim["lomo.table-1.columns"]) is Outcome.VIOLATED


def test_the_slip_is_one_gigabyte_in_each_of_the_three(claim, rejudged):
    settings = claim["lomo.table-1.totals-plain"].plan.settings
    assert [round(s.printed - sum(s.columns), 6) for s in settings] == [1.0, 1.0, 1.0]
    corrected = tuple(replace(s, printed=s.printed - 1) for s in settings)
    one = replace(claim["lomo.table-1.totals-plain"], limit=lambda s: round(s.printed, 2))
    assert rejudged(one, settings=corrected) is Outcome.HOLDS


CHEAP = (
    "lomo.table-1.columns",
    "lomo.table-1.totals",
    "lomo.table-1.totals-plain",
    "lomo.memory-share",
    "lomo.gradient-memory.allocated",
)


@pytest.mark.parametrize("name", CHEAP)
def test_what_needs_no_other_seeds_gives_its_own_verdict(claim, name, rejudged):
    assert rejudged(claim[name]) is claim[name].expected


RESEEDED = {
    "lomo.equals-sgd": (11,),
    "lomo.gradient-memory": (11,),
    "lomo.gradient-memory.tied": (11,),
    "lomo.gradient-memory.tied.three": (11,),
    "lomo.gradient-memory.our-shell.two": (11,),
}


@pytest.mark.parametrize("name", RESEEDED)
def test_other_seeds_give_the_same_verdict(claim, name, rejudged):
    assert rejudged(claim[name], seeds=RESEEDED[name]) is claim[name].expected
