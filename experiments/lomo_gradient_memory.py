"""Question: how much memory do gradients need when every tensor moves inside backward?

Claims: lomo.gradient-memory            peak of all `.grad` together = the largest tensor (untied GPT and Llama)
        lomo.gradient-memory.allocated  the same for everything that backward allocates, where the update costs nothing
        lomo.gradient-memory.tied       the same with a tied embedding: three times, because autograd keeps the head's
                                        part until the embedding's part arrives and adds them into a third tensor
          ...tied.three                 ... and that it is three
        lomo.gradient-memory.our-shell  the same with our update in it: twice, a gradient and its step are alive
                                        together
          ...our-shell.two              ... and that it is two
Proof:  proofs/proof_lomo_memory.py (the order of events; that a head's transposed part is not summed in place is measured)
Cost:   6 s on one CPU core
Run:    sandbox check lomo.gradient-memory lomo.gradient-memory.tied

The factors three and two stood here as text from the first run on, and nothing but "more than one" was judged; their
own claims came later, on seeds that had not run.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from sandbox.draws import generator
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.memory.allocator import allocations
from sandbox.memory.meters import peak_gradient_bytes
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build
from sandbox.models.llama import LlamaConfig
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.fused import Fused
from sandbox.verdict import Outcome

SIZES = dict(vocab=2048, width=64, layers=2, heads=4, context=4)  # the embedding has 8 times the entries of the next tensor
TOKENS = 2  # so few that logits and activations are 3 % of the embedding
FRESH = (2, 3)  # seeds of the claims that came later
ACTIVATIONS = 0.1  # tau of the allocator's claims: gradients of activations and logits, 2 tokens against 64 features


@dataclass(frozen=True)
class Backward:
    """update: "shell" is our fused shell; "free" drops each gradient as soon as it is complete, an update that needs
    nothing.
    """

    family: Literal["gpt", "llama"]
    tied: bool
    update: Literal["shell", "free"] = "shell"


def model_of(setting: Backward, seed: int) -> nn.Module:
    config = GPTConfig if setting.family == "gpt" else LlamaConfig
    return build(config(**SIZES, tied=setting.tied), seed)


def hooked(model: nn.Module, update: Literal["shell", "free"]) -> object:
    """Attach what happens to a complete gradient; the result must stay alive."""
    if update == "shell":
        return Fused(model.named_parameters(), GradientDescent(lr=0.01))
    return [p.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None)) for p in model.parameters()]


def loss_of(model: nn.Module, seed: int) -> torch.Tensor:
    tokens = torch.randint(SIZES["vocab"], (1, TOKENS + 1), generator=generator(seed))
    return F.cross_entropy(model(tokens[:, :-1])[0], tokens[0, 1:])


def measure(setting: Backward, seed: int) -> dict[str, float]:
    """Peaks of one backward over the bytes of the largest tensor: of `.grad`, and of all that was allocated."""
    model = model_of(setting, seed)
    largest = max(p.numel() * p.element_size() for p in model.parameters())
    kept = hooked(model, setting.update)
    stored = peak_gradient_bytes(model.parameters(), loss_of(model, seed).backward)
    if isinstance(kept, Fused):
        kept.step()  # this backward is over
    allocated = allocations(loss_of(model, seed).backward).peak
    return {"stored": stored / largest, "allocated": allocated / largest}


TABLE_1 = "LOMO (arXiv:2306.09782), Table 1"
PEAK = dict(source=TABLE_1, dossier="lomo C2", kind="upper", tier="quick", cost_s=1, limit=1.0)
ALLOCATED = dict(
    known="derived",
    quantity="most bytes that one backward adds / bytes of the largest tensor",
    estimate=Range("allocated"),
    tau=ACTIVATIONS,
    measure=per_seed(measure),
    subject="lomo.gradient-memory",
)
CLAIMS = (
    Claim(
        id="lomo.gradient-memory",
        theorems=("lomo_memory",),
        statement=("Gradients need no more memory than the largest tensor, because each is used and freed before the next is stored."),
        known="read",
        quantity="peak bytes of all `.grad` / bytes of the largest tensor",
        plan=Grid((Backward("gpt", False), Backward("llama", False)), seeds=(0, 1)),
        measure=per_seed(measure),
        estimate=Range("stored"),
        predicted=Outcome.ATTAINED,
        **PEAK,
    ),
    Claim(
        id="lomo.gradient-memory.allocated",
        theorems=("lomo_memory",),
        statement="Backward itself allocates no more than the largest tensor, with an update that needs nothing.",
        plan=Grid((Backward("gpt", False, "free"), Backward("llama", False, "free")), seeds=(0, 1)),
        predicted=Outcome.ATTAINED,
        **PEAK,
        **ALLOCATED,
    ),
    Claim(
        id="lomo.gradient-memory.tied",
        theorems=("lomo_memory",),
        statement="The bound of the largest tensor survives a tied embedding.",
        plan=Grid((Backward("gpt", True, "free"), Backward("llama", True, "free")), seeds=(0, 1)),
        predicted=Outcome.VIOLATED,
        **PEAK | {"dossier": "lomo C2, T21"},
        **ALLOCATED,
    ),
    Claim(
        id="lomo.gradient-memory.tied.three",
        theorems=("lomo_memory",),
        statement="With a tied embedding backward allocates three times the largest tensor.",
        plan=Grid((Backward("gpt", True, "free"), Backward("llama", True, "free")), seeds=FRESH),
        predicted=Outcome.HOLDS,
        **PEAK | {"dossier": "lomo C2, T21", "source": "derived", "kind": "equality", "limit": 3.0},
        **ALLOCATED,
    ),
    Claim(
        id="lomo.gradient-memory.our-shell",
        theorems=("lomo_memory",),
        statement="The bound of the largest tensor holds for our fused shell, its update included.",
        plan=Grid((Backward("gpt", False), Backward("llama", False)), seeds=(0, 1)),
        predicted=Outcome.VIOLATED,  # an out-of-place rule returns a step as large as the gradient it is made from
        **PEAK | {"dossier": "lomo C2, T22"},
        **ALLOCATED,
    ),
    Claim(
        id="lomo.gradient-memory.our-shell.two",
        theorems=("lomo_memory",),
        statement="Our fused shell, its update included, needs twice the largest tensor: a gradient and its step.",
        plan=Grid((Backward("gpt", False), Backward("llama", False)), seeds=FRESH),
        predicted=Outcome.HOLDS,
        **PEAK | {"dossier": "lomo C2, T22", "source": "derived", "kind": "equality", "limit": 2.0},
        **ALLOCATED,
    ),
)
