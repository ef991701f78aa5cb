"""A linear classifier on the mean hidden state of a language model.

    logits = W mean_{t < length} h_t + b,     h = the normalised residual stream of the backbone

The backbone is causal, so what pads a sequence at its end changes no hidden state that is averaged.

Letters: B batch, T time, D width, K classes.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sandbox.models.llama import Llama, LlamaConfig
from sandbox.models.sizes import check_positive


@dataclass(frozen=True)
class ClassifierConfig:
    """backbone: sizes of the language model, whose output head is dropped.  classes: K."""

    backbone: LlamaConfig
    classes: int

    def __post_init__(self) -> None:
        check_positive(self, "classes")

    @property
    def init(self) -> str:
        return self.backbone.init

    @property
    def std(self) -> float:
        return self.backbone.std

    @property
    def layers(self) -> int:
        return self.backbone.layers

    def module(self) -> nn.Module:
        return Classifier(self)


class Classifier(nn.Module):
    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.backbone = Llama(config.backbone)
        self.backbone.head = nn.Identity()
        self.classes = nn.Linear(config.backbone.width, config.classes)

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Logits, (B, K); lengths_B counts the tokens of each sequence before its padding, at least 1."""
        h_BTD = self.backbone.hidden_states(tokens_BT)
        time_T = lengths_B.new_ones(tokens_BT.shape[1]).cumsum(0)
        share_BT = (time_T <= lengths_B[:, None]) / lengths_B[:, None]
        return self.classes((h_BTD * share_BT[:, :, None].to(h_BTD.dtype)).sum(1))
