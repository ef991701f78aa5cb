"""A state survives the way through a flat dict, nested or empty."""

import pytest
import torch

from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import Empty
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.shells.flat_state import read, structure, write


@pytest.mark.parametrize("rule", [GradientDescent(lr=0.1), Adam(lr=0.1), RSO(Adam(lr=0.1), rank=2, update_gap=3)], ids=repr)
def test_there_and_back_is_the_identity(rule):
    state = rule.init(torch.ones(3, 4))
    flat = {}
    write(state, structure(state), flat)
    again = read(structure(state), flat)
    assert type(again) is type(state)
    assert all(a is b for a, b in zip(flatten(again), flatten(state), strict=True))


def flatten(state) -> list:
    return [leaf for x in state for leaf in (flatten(x) if hasattr(x, "_fields") else [x])]


def test_nested_fields_are_joined_by_dots():
    state, flat = RSO(Adam(lr=0.1), rank=2, update_gap=3).init(torch.ones(3, 4)), {}
    write(state, structure(state), flat)
    assert list(flat) == ["P", "B", "inner.b1_t", "inner.b2_t", "inner.m", "inner.v"]


def test_an_empty_state_is_an_empty_dict():
    flat = {}
    write(Empty(), structure(Empty()), flat)
    assert flat == {} and read(structure(Empty()), flat) == Empty()
