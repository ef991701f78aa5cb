"""The table of rules covers every parameter exactly once, or says what is wrong."""

import pytest
import torch

from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.assignment import assign


def test_one_rule_is_given_to_all():
    assert assign(["a", "b"], Adam(lr=0.1)) == {"a": Adam(lr=0.1), "b": Adam(lr=0.1)}


def test_a_table_is_put_in_the_order_of_the_names():
    table = {"b": Adam(lr=0.1), "a": GradientDescent(lr=0.2)}
    assert list(assign(iter(["a", "b"]), table).items()) == [("a", GradientDescent(lr=0.2)), ("b", Adam(lr=0.1))]


def test_missing_and_unknown_names_are_told_apart_and_counted():
    table = {"a": Adam(lr=0.1), "typo": Adam(lr=0.1)}
    with pytest.raises(ValueError) as error:
        assign(["a", "b", "c"], table)
    assert "each of the 3 parameters exactly once: 2 without a rule (b, c), 1 unknown (typo)" in str(error.value)


def test_long_lists_are_cut():
    with pytest.raises(ValueError, match=r"7 without a rule \(n0, n1, n2, n3, n4, \.\.\.\), 0 unknown \(none\)"):
        assign([f"n{i}" for i in range(7)], {})


@pytest.mark.parametrize("rules", [Adam, 1e-3, torch.optim.Adam, {"a": Adam(lr=0.1), "b": Adam}], ids=repr)
def test_what_is_no_rule_is_refused(rules):
    with pytest.raises(ValueError, match=r"a rule is a value with settings, such as Adam\(lr=1e-3\), got "):
        assign(["a", "b"], rules)
