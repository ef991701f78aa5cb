"""Next-token prediction on a random Markov chain of order 2: text with any number of tokens, without end, as a problem.

    P(c | a, b) = softmax(contrast (A_a + B_b))_c,     A, B (V, V) standard normal, fixed by `chain`

What no text has: the vocabulary is a setting, so that what depends on it can be measured with all else equal. The chain
starts from two uniform tokens and forgets them over BURN_IN steps before a window begins. A batch is a pure function of
(seed, step); chains of one number share their tables whatever model is trained on them.

Source: derived; the dossier's Hessian tables were made on such chains.

Letters: B batch, T context, V vocabulary.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from sandbox.draws import generator, normal
from sandbox.models.initial import Config, initial, roles_of, shapes_of, skeleton
from sandbox.models.roles import Role
from sandbox.problems.base import Facts, Params
from sandbox.problems.streams import STRUCTURE

BURN_IN = 8  # steps of the chain before a window; two tokens decide the next, and contrast 1 forgets within a few
TOKENS = 0x4D  # last part of the key of a batch draw


@dataclass(frozen=True)
class MarkovProblem:
    """model: sizes; its vocab is V and its context T.  batch_size: B windows of T + 1 tokens.  contrast: 0 makes all tokens alike.

    Raises ValueError for a batch below 1 and a negative contrast.
    """

    model: Config
    batch_size: int = 16
    contrast: float = 1.0
    chain: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.batch_size < 1 or not self.contrast >= 0:
            raise ValueError(f"a chain needs batch_size >= 1 and contrast >= 0, got {self.batch_size} and {self.contrast}")

    @property
    def facts(self) -> Facts:
        """Nothing is known for certain about the loss of a transformer."""
        return Facts()

    @property
    def roles(self) -> dict[str, Role]:
        return roles_of(self.model)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return shapes_of(self.model)

    @cached_property
    def tables(self) -> tuple[Tensor, Tensor]:
        """A and B, times the contrast: (V, V) each, float64."""
        rng = generator(STRUCTURE, self.chain, self.model.vocab)
        A, B = normal((2, self.model.vocab, self.model.vocab), rng)
        return self.contrast * A, self.contrast * B

    def start(self, seed: int) -> Params:
        return initial(self.model, seed, getattr(torch, self.dtype))

    def batch(self, seed: int, step: int) -> Tensor:
        """(B, T + 1) token ids."""
        rng = generator(seed, step, 0, TOKENS)
        tokens = list(torch.randint(self.model.vocab, (2, self.batch_size), generator=rng))
        for _ in range(BURN_IN + self.model.context - 1):
            tokens.append(torch.multinomial(self.chances(tokens[-2], tokens[-1]), 1, generator=rng)[:, 0])
        return torch.stack(tokens[-self.model.context - 1 :], dim=1)

    def chances(self, before: Tensor, last: Tensor) -> Tensor:
        """(B, V): the law of the token after `before`, `last`, (B,) each."""
        A, B = self.tables
        return torch.softmax(A[before] + B[last], dim=1)

    def loss(self, params: Params, batch: Tensor) -> Tensor:
        """Mean negative log likelihood of batch[:, 1:], in nats per token; batch is (B, T + 1)."""
        logits_BTV = functional_call(skeleton(self.model), params, (batch[:, :-1],))
        return F.cross_entropy(logits_BTV.flatten(0, 1), batch[:, 1:].flatten())

    def least(self, batch: Tensor) -> float:
        """The loss of whoever knows the chain, on the tokens of a batch from the third on, in nats per token."""
        before, last, after = batch[:, :-2].flatten(), batch[:, 1:-1].flatten(), batch[:, 2:].flatten()
        return -float(self.chances(before, last).gather(1, after[:, None]).log().mean())
