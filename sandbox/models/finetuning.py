"""Fine-tuning from the base model, on text that it has not read: continuation, and which book a verse is from.

Continuation: next-token prediction on the fine-tuning part (Mark to Revelation), as LanguageProblem, from the base
weights.

Classification: eight books of that part, the eight with the most verses; as many verses of each as the
shortest has (303 of Hebrews), evenly spread over the book, so that guessing is right in 1 of 8; every fifth of them is
held out, alternating through the book.

Letters: B batch, T context, K classes, n verses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from sandbox.draws import generator
from sandbox.models.base_model import BASE, load
from sandbox.models.classifier import ClassifierConfig
from sandbox.models.initial import Config, initial, roles_of, shapes_of, skeleton
from sandbox.models.language import BATCHES, LanguageProblem
from sandbox.models.roles import Role
from sandbox.models.text import KJV, corpus, verses
from sandbox.problems.base import Facts, Params

BOOKS = (41, 42, 43, 44, 45, 46, 58, 66)  # Mark, Luke, John, Acts, Romans, 1 Corinthians, Hebrews, Revelation
FIRST_UNREAD, LAST = 41, 66  # the first book that lies wholly in the fine-tuning part, and the last of all
EVERY = 5  # one verse in five is held out


@dataclass(frozen=True)
class ContinuationProblem:
    """base: folder of the base model.  context: T.  batch_size, held_out_tokens, dtype: as in LanguageProblem."""

    base: str = BASE
    context: int = 64
    batch_size: int = 4
    held_out_tokens: int = 8192
    dtype: str = "float32"

    @property
    def language(self) -> LanguageProblem:
        """The same text, batches and loss, from fresh weights."""
        base = load(self.base)
        return LanguageProblem(
            replace(base.config, context=self.context),
            tokenizer=base.tokenizer,
            part="tune",
            batch_size=self.batch_size,
            held_out_tokens=self.held_out_tokens,
            dtype=self.dtype,
        )

    @property
    def facts(self) -> Facts:
        return Facts()

    @property
    def roles(self) -> dict[str, Role]:
        return self.language.roles

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.language.shapes

    def module(self) -> nn.Module:
        return self.language.module()

    def start(self, seed: int) -> Params:
        """The base weights, for every seed: seeds differ in their batches."""
        return base_weights(self.base, self.dtype)

    def batch(self, seed: int, step: int) -> Tensor:
        """(B, T + 1) token ids."""
        return self.language.batch(seed, step)

    def loss(self, params: Params, batch: Tensor) -> Tensor:
        """Nats per token."""
        return self.language.loss(params, batch)

    def held_out(self, params: Params) -> float:
        return self.language.held_out(params)


def base_weights(base: str, dtype: str) -> Params:
    """A copy of the base weights, cast, so that no run can change another's."""
    return {name: value.to(getattr(torch, dtype), copy=True) for name, value in load(base).params.items()}


class Verses(NamedTuple):
    """tokens: (n, T) ids, padded with 0 at the end.  lengths: (n,) before padding.  labels: (n,) 0 .. K - 1."""

    tokens: Tensor
    lengths: Tensor
    labels: Tensor

    def take(self, which: Tensor) -> "Verses":
        return Verses(*(column[which] for column in self))


@lru_cache(maxsize=8)
def verses_of(base: str, books: tuple[int, ...], context: int) -> Verses:
    """The same number of verses of every book, book by book, in order; longer verses are cut to the context."""
    coder = load(base).tokenizer.codec(corpus(KJV))
    by_book = [[text for book, text in verses() if book == wanted] for wanted in books]
    count = min(map(len, by_book))
    chosen = [texts[i * len(texts) // count] for texts in by_book for i in range(count)]
    rows = [torch.from_numpy(coder.encode(text)[:context]) for text in chosen]
    tokens = torch.stack([F.pad(row, (0, context - len(row))) for row in rows])
    labels = torch.arange(len(books)).repeat_interleave(count)
    return Verses(tokens, torch.tensor([len(row) for row in rows]), labels)


def check_books(books: Sequence[int]) -> None:
    """Raises ValueError for fewer than two books, a repeated one, and one that the base model has read."""
    if len(set(books)) != len(books) or len(books) < 2:
        raise ValueError(f"books must be at least two different numbers, got {tuple(books)}")
    if read := [book for book in books if not FIRST_UNREAD <= book <= LAST]:
        raise ValueError(
            f"book {read[0]} is not in the fine-tuning part: books are numbered 1 to {LAST} and the base model "
            f"has read 1 to {FIRST_UNREAD - 1}; "
            f"choose from {FIRST_UNREAD} to {LAST}"
        )


@dataclass(frozen=True)
class ClassificationProblem:
    """base: folder of the base model.  books: the K classes.  context: T, tokens of a verse that are read.  batch_size:
    B verses.

    Raises ValueError for books that cannot be classes, see `check_books`.
    """

    base: str = BASE
    books: tuple[int, ...] = BOOKS
    context: int = 64
    batch_size: int = 8
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_books(self.books)

    @property
    def config(self) -> ClassifierConfig:
        return ClassifierConfig(replace(load(self.base).config, context=self.context), len(self.books))

    @property
    def facts(self) -> Facts:
        return Facts()

    @property
    def roles(self) -> dict[str, Role]:
        return roles_of(self.config)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return shapes_of(self.config)

    def module(self) -> nn.Module:
        return skeleton(self.config)

    def start(self, seed: int) -> Params:
        """The base weights, and a linear head drawn from the seed."""
        fresh = initial(self.config, seed, getattr(torch, self.dtype))
        known = {f"backbone.{name}": value for name, value in base_weights(self.base, self.dtype).items()}
        return {name: known.get(name, value) for name, value in fresh.items()}

    def verses(self) -> Verses:
        return verses_of(self.base, self.books, self.context)

    def split(self) -> tuple[Tensor, Tensor]:
        """Row numbers for training and held-out row numbers."""
        n = len(self.verses().labels)
        held = torch.arange(n) % (n // len(self.books)) % EVERY == EVERY - 1
        return (~held).nonzero().flatten(), held.nonzero().flatten()

    def batch(self, seed: int, step: int) -> Verses:
        """B training verses, drawn with replacement, a pure function of (seed, step)."""
        train, _ = self.split()
        which = torch.randint(len(train), (self.batch_size,), generator=generator(seed, step, 0, BATCHES))
        return self.verses().take(train[which])

    @property
    def judged(self) -> "ByBook":
        return ByBook(self, self.config)

    def loss(self, params: Params, batch: Verses) -> Tensor:
        """Mean negative log likelihood of the book, in nats per verse."""
        return self.judged.loss(params, batch)

    def held_out(self, params: Params) -> float:
        return self.judged.held_out(params)

    def accuracy(self, params: Params) -> float:
        return self.judged.accuracy(params)


@dataclass(frozen=True)
class ByBook:
    """Losses of a model over all its parameters, frozen ones included.

    model: of what makes logits (B, K) from tokens and lengths; that of the task, or an adapter around it.
    """

    task: ClassificationProblem
    model: Config

    def logits(self, params: Params, batch: Verses) -> Tensor:
        """(B, K), on the device of the parameters."""
        device = next(iter(params.values())).device
        return functional_call(skeleton(self.model), params, (batch.tokens.to(device), batch.lengths.to(device)))

    def loss(self, params: Params, batch: Verses) -> Tensor:
        """Mean negative log likelihood of the book, in nats per verse."""
        logits_BK = self.logits(params, batch)
        return F.cross_entropy(logits_BK, batch.labels.to(logits_BK.device))

    @torch.no_grad()
    def held_out_logits(self, params: Params) -> tuple[Tensor, Tensor]:
        """Logits and labels of the held-out verses."""
        rows = self.task.verses().take(self.task.split()[1])
        pieces = [self.logits(params, rows.take(piece)) for piece in torch.arange(len(rows.labels)).split(64)]
        return torch.cat(pieces).cpu(), rows.labels

    def held_out(self, params: Params) -> float:
        """Mean loss over the held-out verses, in nats per verse."""
        logits, labels = self.held_out_logits(params)
        return F.cross_entropy(logits.double(), labels).item()

    def accuracy(self, params: Params) -> float:
        """Share of held-out verses whose book is the most likely one; guessing gives 1 / K."""
        logits, labels = self.held_out_logits(params)
        return (logits.argmax(1) == labels).double().mean().item()
