"""From a slot that is to move to the block that a way of running moves: the settings of now, and the state, made or refreshed."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.optimizers.base import Rule, due
from sandbox.shells.execution import Block, Settings, settings
from sandbox.shells.flat_state import read, write
from sandbox.shells.gradients import sanitised
from sandbox.shells.grouping import live
from sandbox.shells.slot import Slot, scheduled


class Move(NamedTuple):
    """One step of a slot, as a shell asks for it.  rule: with the settings of now."""

    slot: Slot
    w: Tensor
    g: Tensor
    rule: Rule
    entry: dict[str, Any]


def moves_of(optimizer: torch.optim.Optimizer, of: Mapping[Tensor, Slot], bad: Collection[Tensor]) -> list[Move]:
    """One for every tensor that has a gradient, group by group. bad: the gradients that have entries to be left out.

    Raises ValueError where a learning rate is no number >= 0.
    """
    moves = []
    for group in optimizer.param_groups:
        rule = scheduled(group, of)
        for w in group["params"]:
            if w.grad is not None:
                g = sanitised(w.grad, of[w].kept) if w in bad else w.grad
                moves.append(Move(of[w], w, g, rule, optimizer.state[w]))
    return moves


def changed(m: Move) -> Settings:
    """The learning rate, and what else is not as in the rule that was assigned."""
    return settings({name: x for name, x in live(m.rule).items() if name == "lr" or x != m.slot.live[name]})


def ready(m: Move, now: Settings) -> Block:
    """The block, its state made or refreshed where that is due."""
    k, slot = m.entry.get("step", 0), m.slot
    refresh = due(m.rule, k)
    if not k or refresh:
        state = read(slot.structure, m.entry) if k else m.rule.init(m.w)
        if refresh:
            state = m.rule.refresh(m.g, state, m.w, m.rule.draw(generator(slot.seed, slot.index, k), tuple(m.w.shape)))
        write(state, slot.structure, m.entry)
    return Block(slot.rule, now, m.w, m.g, slot.structure, m.entry)
