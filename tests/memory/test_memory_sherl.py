"""What SHERL keeps for backward: the sum over its parts against the bytes that autograd saves, one forward pass each.

Whole steps, with their peaks: tests/memory/test_memory_extended.py.
"""

import pytest
import torch

from sandbox.draws import generator
from sandbox.memory.activations import Pass
from sandbox.memory.meters import saved_bytes
from sandbox.memory.sherl import Kept
from sandbox.memory.training import next_token_loss, owned
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build
from sandbox.models.llama import LlamaConfig
from sandbox.models.sherl import Route, SherlConfig


@pytest.mark.parametrize("route", [Route(late=0), Route(late=1, redundancy="off"), Route(late=2, reduction=4)], ids=str)
@pytest.mark.parametrize("family", [GPTConfig, LlamaConfig])
def test_the_parts_add_up_to_what_autograd_saves(family, route):
    config = SherlConfig(family(vocab=20, width=16, layers=3, heads=2, context=6), route)
    model, batch = build(config, 0), torch.randint(20, (2, 6), generator=generator(0))
    assert Kept(config, Pass(config.backbone, 2, 5)).total == saved_bytes(next_token_loss(model, batch), owned(model))
