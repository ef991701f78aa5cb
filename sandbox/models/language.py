"""Next-token prediction on real text, as a problem: plain fields, pure functions, everything else cached.

    loss(w; tokens) = mean over (b, t) of -log softmax(f_w(tokens_b,0..t))[token_b,t+1]        in nats per token

A part of the text is cut into 8 equal segments; the last tenth of every segment is held out. Training windows lie
wholly inside the first nine tenths and start anywhere there; held-out windows do not overlap. A batch is a pure
function of (seed, step).

Letters: B batch, T context, V vocabulary.
"""

import io
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from sandbox.draws import generator
from sandbox.models.initial import Config, initial, roles_of, shapes_of, skeleton
from sandbox.models.roles import Role
from sandbox.models.text import KJV, Part, cached, corpus
from sandbox.models.tokenizers import BytePairs, Codec, Tokenizer
from sandbox.problems.base import Facts, Params

SEGMENTS, HELD_OUT = 8, 10  # segments of a part, and one token in so many of each is held out
BATCHES = 0x42  # last part of the key of a batch draw
CHUNK = 2048  # tokens per forward pass of an evaluation


@lru_cache(maxsize=16)
def codec(text: str, tokenizer: Tokenizer) -> Codec:
    return tokenizer.codec(corpus(text))


@lru_cache(maxsize=16)
def token_ids(text: str, tokenizer: Tokenizer, part: Part) -> Tensor:
    """(n,) int64 ids of a part of a text; computed once, kept on disk by hash and once per process."""
    coder = codec(text, tokenizer)

    def encode() -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, coder.encode(corpus(text).part(part)).astype(np.uint32))
        return buffer.getvalue()

    kept = cached(f"tokens-{corpus(text).digest[:16]}-{part}-{coder.name}.npy", encode)
    return torch.from_numpy(np.load(io.BytesIO(kept)).astype(np.int64))


@dataclass(frozen=True)
class Layout:
    """Where training and held-out windows of T + 1 tokens lie in n tokens.

    segment: tokens per segment.  train: tokens of each segment that are for training, the rest is held out.  context:
    T.
    """

    segment: int
    train: int
    context: int

    def train_starts(self, count: int, rng: torch.Generator) -> Tensor:
        """`count` starts, uniform over all windows that lie wholly in training text, drawn with replacement."""
        each = self.train - self.context
        u = torch.randint(SEGMENTS * each, (count,), generator=rng)
        return u // each * self.segment + u % each

    def held_out_starts(self, tokens: int) -> Tensor:
        """Starts of non-overlapping held-out windows, the same number from every segment, `tokens` targets or as many
        as there are.
        """
        room = (self.segment - self.train - 1) // self.context
        each = min(-(-tokens // (SEGMENTS * self.context)), room)
        first = torch.arange(SEGMENTS)[:, None] * self.segment + self.train
        return (first + torch.arange(each) * self.context).flatten()


def layout(n: int, context: int, where: str) -> Layout:
    """Raises ValueError where n tokens are too few for the context."""
    segment = n // SEGMENTS
    train = segment - segment // HELD_OUT
    if segment - train < context + 1:
        raise ValueError(
            f"{where} has {n} tokens, but context {context} needs {SEGMENTS * HELD_OUT * (context + 1)}: {SEGMENTS} "
            f"segments, a tenth of each held out, and a window is {context + 1} tokens; give a longer text or a context"
            f" of at most {max(segment // HELD_OUT - 1, 0)}"
        )
    return Layout(segment, train, context)


@dataclass(frozen=True)
class LanguageProblem:
    """model: sizes; its context is T and its vocab must be the tokenizer's size.  text: "kjv", a file or a folder.

    part: which part of the text.  batch_size: B windows of T + 1 tokens.  held_out_tokens: at least so many held-out
    targets, if there are. dtype: "float32" or "float64", of the parameters.  Raises ValueError (on first use of the
    text) where vocabulary or length do not fit.
    """

    model: Config
    text: str = KJV
    tokenizer: Tokenizer = field(default_factory=BytePairs)
    part: Part = "pretrain"
    batch_size: int = 4
    held_out_tokens: int = 8192
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.held_out_tokens < 1:
            raise ValueError(f"batch_size and held_out_tokens must be > 0, got {self.batch_size} and {self.held_out_tokens}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f'dtype must be "float32" or "float64", got {self.dtype!r}')

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

    def module(self) -> nn.Module:
        """The module without numbers, for `torch.func.functional_call`."""
        return skeleton(self.model)

    def codec(self) -> Codec:
        return codec(self.text, self.tokenizer)

    def start(self, seed: int) -> Params:
        return initial(self.model, seed, getattr(torch, self.dtype))

    def windows(self, starts: Tensor) -> Tensor:
        """(n, T + 1) tokens from n starts."""
        return checked_tokens(self)[starts[:, None] + torch.arange(self.model.context + 1)]

    def layout(self) -> Layout:
        return layout(len(checked_tokens(self)), self.model.context, f"the part {self.part!r} of {self.text!r}")

    def batch(self, seed: int, step: int) -> Tensor:
        """(B, T + 1) token ids."""
        return self.windows(self.layout().train_starts(self.batch_size, generator(seed, step, 0, BATCHES)))

    def loss(self, params: Params, batch: Tensor) -> Tensor:
        """Mean negative log likelihood of batch[:, 1:], in nats per token; batch is (B, T + 1), on any device."""
        batch = batch.to(next(iter(params.values())).device)
        logits_BTV = functional_call(self.module(), params, (batch[:, :-1],))
        return F.cross_entropy(logits_BTV.flatten(0, 1), batch[:, 1:].flatten())

    def held_out_batch(self) -> Tensor:
        """(n, T + 1): the fixed held-out windows."""
        return self.windows(self.layout().held_out_starts(self.held_out_tokens))

    def held_out(self, params: Params) -> float:
        """Mean loss over the held-out windows, in nats per token."""
        return mean_loss(self, params, self.held_out_batch())


@torch.no_grad()
def mean_loss(problem: LanguageProblem, params: Params, windows: Tensor) -> float:
    """The problem's loss over many windows, in chunks, added up in float64."""
    chunks = windows.split(max(CHUNK // problem.model.context, 1))
    total = sum(problem.loss(params, chunk).double().item() * len(chunk) for chunk in chunks)
    return total / len(windows)


@lru_cache(maxsize=16)
def checked(text: str, tokenizer: Tokenizer, part: Part, vocab: int) -> Tensor:
    size = codec(text, tokenizer).size
    if size != vocab:
        raise ValueError(f"{tokenizer} on {text!r} has {size} tokens, but the model has vocab={vocab}: give the model vocab={size}")
    return token_ids(text, tokenizer, part)


def checked_tokens(problem: LanguageProblem) -> Tensor:
    """Token ids of the problem's part. Raises ValueError where the model's vocabulary is not the tokenizer's."""
    return checked(problem.text, problem.tokenizer, problem.part, problem.model.vocab)


def fitted(problem: LanguageProblem) -> LanguageProblem:
    """The same problem with the model's vocabulary set to the size of the tokenizer on its text."""
    return replace(problem, model=replace(problem.model, vocab=problem.codec().size))
