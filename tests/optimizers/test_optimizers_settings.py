"""What a shell reads from a rule: its learning rate, through any depth of wrapping; and settings that would have no effect."""

from dataclasses import dataclass

import pytest

from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import Rule, with_fields
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.settings import learning_rate
from sandbox.optimizers.weight_decay import WeightDecay


@dataclass(frozen=True)
class Rateless:
    inner: Rule | None = None


def test_learning_rate_is_that_of_the_innermost_rule():
    assert learning_rate(WeightDecay(GaLore(Adam(lr=0.3), rank=2), weight_decay=0.1)) == 0.3


@pytest.mark.parametrize("rule", [Rateless(), WeightDecay(Rateless(), weight_decay=0.1)])
def test_a_rule_without_a_learning_rate_is_an_error(rule):
    with pytest.raises(ValueError, match="has no field 'lr', so a learning rate would have no effect"):
        learning_rate(rule)


def test_fields_reach_the_level_that_has_them():
    rule = with_fields(RSO(Adam(lr=0.1), rank=2, update_gap=5), lr=0.2, eta=3.0, eps=1e-3)
    assert (rule.inner.lr, rule.eta, rule.inner.eps) == (0.2, 3.0, 1e-3)


def test_a_setting_that_no_level_has_is_an_error():
    with pytest.raises(ValueError, match="Adam has no field 'momentum', so setting it to 0.9 would have no effect"):
        with_fields(GaLore(Adam(lr=0.1), rank=2), momentum=0.9)


@pytest.mark.parametrize("lr", ["0.1", None, float("nan"), -1.0])
def test_what_is_no_number_from_zero_up_is_a_sentence(lr):
    with pytest.raises(ValueError, match=f"lr of Adam must be >= 0, got {lr!r}; give a non-negative lr"):
        Adam(lr)
