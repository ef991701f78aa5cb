"""SHERL: a frozen backbone, a thin route beside its early blocks, and backpropagation through its last blocks only.

    f_0 .. f_{N-1}     the embedding and the outputs of the early blocks, without a graph     N = layers - late + 1
    d_i = LN_i(A_i f_i + a_i)                                                 down to h = D / reduction features
    r_i = sum_j relu cos(d_i, d_j),  j = i included                           redundancy of a feature among the others
    s_i = relu(w . (d_i * d_deep) + c) / r_i,   deep = N - 1                  one score per token and layer
    u = sum_i (s_i / sum_j s_j) d_i + d_deep                                  early route
    x = LN(B relu(u) + b) + tanh(g / 0.1) f_{N-1},   g = 0 at the start       late route
    x -> the last `late` frozen blocks -> the frozen norm and head

With g = 0 the late blocks get a random map of the features: the pre-trained function is lost at step 0. merge="add" has
the weight 1 for f_{N-1}, as one variant of the code has, which keeps more of it; it keeps all of it where the gain of
the last LN starts at 0. Features that repeat another share its weight: k copies of one feature that is orthogonal to
the rest weigh together what it alone did. Where no score of a token is positive, the sum is 0 and d_deep alone goes on.

Bytes for backward: one tensor (D numbers per token) and a fixed number of tensors of width h for every early block, N^2
numbers per token for the redundancies, and the activations of the late blocks alone.

Source: Diao et al. (2024), https://arxiv.org/abs/2407.07523: the body was not read; equations from the public code
(BERT form, second-hand).  Departures from the code: no dropout (a loss is a function of its
parameters); any number of late blocks, where the code has one; w and c are shared by all layers (not established); the
backbones are the decoders of this package, so what was "per token" stays so.

Letters: B batch, T time, D width, h width of the route, N features.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sandbox.models.classifier import ClassifierConfig
from sandbox.models.gpt import GPTConfig
from sandbox.models.llama import Llama, LlamaConfig, angles
from sandbox.models.sizes import check_context, check_divides, check_positive

SHARPNESS = 0.1  # of the gate
Backbone = GPTConfig | LlamaConfig


@dataclass(frozen=True)
class Route:
    """late: frozen blocks that gradients pass through.  reduction: D / h.  merge, redundancy: see above; "off" has r_i = 1.

    Raises ValueError for sizes that make no sense.
    """

    late: int = 1
    reduction: int = 2
    merge: Literal["gate", "add"] = "gate"
    redundancy: Literal["on", "off"] = "on"

    def __post_init__(self) -> None:
        check_positive(self, "reduction")
        if type(self.late) is not int or type(self.reduction) is not int:
            raise ValueError(f"late and reduction of a route must be ints, got {self.late!r} and {self.reduction!r}")
        if self.late < 0 or self.merge not in ("gate", "add") or self.redundancy not in ("on", "off"):
            raise ValueError(f'a route needs late >= 0, merge "gate" or "add", redundancy "on" or "off", got {self}')


@dataclass(frozen=True)
class SherlConfig:
    """backbone: sizes of the frozen model.  Fresh weights are drawn with 1 / sqrt(fan-in), the backbone's too.

    Raises ValueError where the route is wider or longer than the backbone.
    """

    backbone: Backbone
    route: Route = Route()

    def __post_init__(self) -> None:
        check_divides("reduction", self.route.reduction, "width", self.backbone.width)
        if self.route.late > self.layers:
            raise ValueError(f"late must be at most the {self.layers} blocks of the backbone, got {self.route.late}")

    init = "lecun"

    @property
    def std(self) -> float:
        return self.backbone.std

    @property
    def layers(self) -> int:
        return self.backbone.layers

    @property
    def vocab(self) -> int:
        return self.backbone.vocab

    @property
    def context(self) -> int:
        return self.backbone.context

    def module(self) -> nn.Module:
        return Sherl(self)


@dataclass(frozen=True)
class SherlClassifierConfig:
    """sherl: what makes the hidden states.  classes: K of the trained linear head on their mean."""

    sherl: SherlConfig
    classes: int
    init = "lecun"

    @property
    def std(self) -> float:
        return self.sherl.std

    @property
    def layers(self) -> int:
        return self.sherl.layers

    def module(self) -> nn.Module:
        """A linear classifier whose hidden states are Sherl's."""
        classifier = ClassifierConfig(self.sherl.backbone, self.classes).module()
        classifier.backbone = Sherl(self.sherl)
        classifier.backbone.backbone.head = nn.Identity()
        return classifier


class Down(nn.Module):
    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(width, narrow), nn.LayerNorm(narrow)

    def forward(self, f_BTD: Tensor) -> Tensor:
        return self.norm(self.linear(f_BTD))


class Sherl(nn.Module):
    """`backbone` asks for no gradient; every other parameter does."""

    def __init__(self, config: SherlConfig) -> None:
        super().__init__()
        self.config, width = config, config.backbone.width
        narrow = width // config.route.reduction
        self.backbone = config.backbone.module().requires_grad_(False)
        self.downs = nn.ModuleList(Down(width, narrow) for _ in range(config.layers - config.route.late + 1))
        self.score, self.up, self.norm = nn.Linear(narrow, 1), nn.Linear(narrow, width), nn.LayerNorm(width)
        if config.route.merge == "gate":
            self.gate = nn.Parameter(torch.zeros(1))

    def early(self, tokens_BT: Tensor) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """f_0 .. f_{N-1}, without a graph, and what every block wants beside its input."""
        with torch.no_grad():
            x_BTD, extra = opened(self.backbone, tokens_BT)
            features = [x_BTD]
            for block in self.backbone.blocks[: len(self.downs) - 1]:
                features.append(block(features[-1], *extra))
        return features, extra

    def aggregated(self, features: list[Tensor]) -> Tensor:
        """u, (B, T, h)."""
        d_NBTh = torch.stack([down(f_BTD) for down, f_BTD in zip(self.downs, features, strict=True)])
        scores_NBT = F.relu(self.score(d_NBTh * d_NBTh[-1])).squeeze(-1)
        if self.config.route.redundancy == "on":
            scores_NBT = scores_NBT / redundancy(d_NBTh)
        return (shares(scores_NBT)[..., None] * d_NBTh).sum(0) + d_NBTh[-1]

    def hidden_states(self, tokens_BT: Tensor) -> Tensor:
        """The normalised residual stream, (B, T, D). Raises ValueError where T exceeds the context."""
        features, extra = self.early(tokens_BT)
        kept = torch.tanh(self.gate / SHARPNESS) if self.config.route.merge == "gate" else 1.0
        x_BTD = self.norm(self.up(F.relu(self.aggregated(features)))) + kept * features[-1]
        for block in self.backbone.blocks[len(self.downs) - 1 :]:
            x_BTD = block(x_BTD, *extra)
        return self.backbone.norm(x_BTD)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits of the next token at every position, (B, T, V)."""
        return self.backbone.head(self.hidden_states(tokens_BT))


def redundancy(d_NBTh: Tensor) -> Tensor:
    """r_i of every token, (N, B, T): the sum of the positive cosines with all features, at least 1."""
    unit = F.normalize(d_NBTh, dim=-1)
    return F.relu(torch.einsum("ibth,jbth->ijbt", unit, unit)).sum(1)


def shares(scores_NBT: Tensor) -> Tensor:
    """The scores divided by their sum over layers; 0 where all of them are."""
    return F.normalize(scores_NBT, p=1, dim=0)


def opened(backbone: nn.Module, tokens_BT: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The input of the first block, and what every block wants beside its input (the rotation of a Llama).

    Raises ValueError where T exceeds the context.
    """
    config, T = backbone.config, tokens_BT.shape[1]
    check_context(T, config.context)
    x_BTD, time = backbone.embedding(tokens_BT), torch.arange(T, device=tokens_BT.device)
    if isinstance(backbone, Llama):
        turn = angles(time, config.width // config.heads, config.base)
        return x_BTD, (turn.cos().to(x_BTD.dtype), turn.sin().to(x_BTD.dtype))
    return x_BTD + backbone.position(time), ()
