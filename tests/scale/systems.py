"""One rule of every class that a card can hold, on the tensors of a small Llama, as the trainer's tests run it."""

import torch

from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.came import CAME
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.parameter_scale import ParameterScale
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.sgc_adam import SGCAdam
from sandbox.optimizers.sign_descent import SignDescent
from sandbox.optimizers.subzero import SubZero
from sandbox.optimizers.weight_decay import WeightDecay

LR = 0.01
ADAM = Adam(LR)
GAP = 6  # refreshes at steps 0, 6, 12 and 18 of 20
SYSTEMS = {
    "Adafactor": Adafactor(LR, weight_decay=0.1),
    "AdaLomo": AdaLomo(LR, weight_decay=0.1),
    "Adam": ADAM,
    "AdamMini": AdamMini(LR, weight_decay=0.1, n_blocks=2),
    "AdamW": AdamW(LR, weight_decay=0.1),
    "CAME": CAME(LR, weight_decay=0.1),
    "CESGC": CESGC(SGC(ADAM, sparsity=4, measurements=12), rank=2, update_gap=GAP),
    "GaLore": GaLore(ADAM, rank=2, update_gap=GAP),
    "GoLore": GoLore(ADAM, rank=2, update_gap=GAP),
    "GradientDescent": GradientDescent(LR, momentum=0.9),
    "GWT": GWT(ADAM, level=1),
    "I3S": I3S(ADAM, rank=2, update_gap=GAP),
    "ParameterScale": ParameterScale(ADAM),
    "RSO": RSO(ADAM, rank=2, update_gap=GAP),
    "SGC": SGC(ADAM, sparsity=6, measurements=24),
    "SGCAdam": SGCAdam(LR, sparsity=2, measurements=8),
    "SignDescent": SignDescent(LR),
    "SubZero": SubZero(ADAM, rank=2, update_gap=GAP, gradient="backprop"),
    "WeightDecay": WeightDecay(RSO(ADAM, rank=2, update_gap=GAP), weight_decay=0.1),
}
LAYERED = {  # run as layers too; the last two sum over ranks, and GAP is never the step of a checkpoint
    "RSO": SYSTEMS["RSO"],
    "WeightDecay": SYSTEMS["WeightDecay"],
    "AdaLomo inside": WeightDecay(RSO(AdaLomo(LR, parameter_scale="off"), rank=2, update_gap=GAP, eta=0.5), weight_decay=0.1),
    "AdamMini inside": RSO(AdamMini(LR, n_blocks=2), rank=3, update_gap=GAP, law="gaussian", on_refresh="rotate"),
}


def rules_of(rule, problem):
    """The rule where it takes the tensor, and Adam elsewhere; frames stay out of table and head, as in training.

    A rule that wraps none takes all of them: a card holds one such rule.
    """
    if not hasattr(rule, "inner"):
        return dict.fromkeys(problem.shapes, rule)
    return {name: rule if takes(rule, shape, problem.roles[name]) else ADAM for name, shape in problem.shapes.items()}


def takes(rule, shape, role):
    if not isinstance(rule, ParameterScale) and role.kind in ("embedding", "head"):
        return False
    if isinstance(rule, SGC) and role.kind not in ("query", "ffn_in"):
        return False  # its search is slow
    try:
        rule.init(torch.ones(shape, dtype=torch.float64))
    except ValueError:
        return False
    return True
