"""Two losses on one fixed batch of text, deterministic functions for theorems to be tried on: a bigram model and a small transformer.

    Bigrams    f(W) = -mean log softmax(W_last)[next]      convex; L = max frequency of a character / 2, inf f = conditional entropy
    Matrices   the loss of a transformer as a function of its matrices; its vectors stay as they start

The curvature of log-sum-exp is at most 1/2 (Popoviciu: the entries of a unit vector differ by at most sqrt 2).
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.problems.base import Facts, Params
from sandbox.problems.streams import START

SMALL = GPTConfig(1, width=16, layers=1, heads=2, context=16)  # its vocabulary is set to the characters of the text


def on_characters(batch_size: int) -> LanguageProblem:
    return fitted(LanguageProblem(SMALL, tokenizer=Characters(), batch_size=batch_size, dtype="float64"))


@dataclass(frozen=True)
class Bigrams:
    """W (V, V): the logits of the next character, a row for each last one.  windows: of 17 characters, fixed.

    start_scale: standard deviation of the start.
    """

    windows: int = 256
    start_scale: float = 2.0

    @cached_property
    def frequencies(self) -> Tensor:
        """(V, V): of (last, next); they sum to 1."""
        problem = on_characters(self.windows)
        tokens, V = problem.batch(0, 0), problem.model.vocab
        pairs = (tokens[:, :-1] * V + tokens[:, 1:]).flatten()
        return torch.bincount(pairs, minlength=V * V).reshape(V, V).double() / len(pairs)

    @cached_property
    def facts(self) -> Facts:
        p = self.frequencies
        of_last = p.sum(1, keepdim=True)
        entropy = -(torch.xlogy(p, p) - torch.xlogy(p, of_last)).sum()
        return Facts(L=float(of_last.max()) / 2, f_star=float(entropy))

    def start(self, seed: int) -> Params:
        return {"W": self.start_scale * normal(tuple(self.frequencies.shape), generator(START, seed))}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        return -(self.frequencies * F.log_softmax(params["W"], 1)).sum()


@dataclass(frozen=True)
class Matrices:
    """assumed: the L that is claimed in `facts`, which nobody knows.  windows: of 17 characters, fixed."""

    assumed: float
    windows: int = 16

    @cached_property
    def whole(self) -> LanguageProblem:
        return on_characters(self.windows)

    @cached_property
    def tokens(self) -> Tensor:
        return self.whole.batch(0, 0)

    @cached_property
    def vectors(self) -> Params:
        return {name: w for name, w in self.whole.start(0).items() if w.ndim != 2}

    @property
    def facts(self) -> Facts:
        return Facts(L=self.assumed)

    def start(self, seed: int) -> Params:
        _ = self.vectors, self.tokens  # drawn here, because vmap refuses random draws
        return {name: w for name, w in self.whole.start(seed).items() if w.ndim == 2}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        return self.whole.loss({**self.vectors, **params}, self.tokens)
