"""Windows of tokens for a job: a pure function of (seed, step) that does not know how many ranks share them.

    no --text           the card's text, windows drawn with replacement as in `sandbox.models.language`
    --text FILE|FOLDER  .txt files, or .parquet files with a column "text", each window at most once, in an order drawn from the seed
    --text hub:NAME     a data set of the Hugging Face hub, streamed in its own order: hub:NAME, hub:NAME:CONFIG, hub:NAME:CONFIG:SPLIT

Nothing is downloaded unless a hub data set is named. The first windows are held out. A text is never read twice: where it has too few
windows for the steps that are asked for, that is said before the first step, and of a stream when it ends.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.models.language import LanguageProblem
from sandbox.scale.text import HUB, Coder, coder_of, hub, tokens_of, windows

ORDER = 0x4F  # last part of the key of the order of windows
Documents = Callable[[], Iterator[str]]  # opens a stream of texts
MOST_HELD_OUT = 10  # at most one window in so many is held out


class DataEnded(Exception):
    """A stream has no more windows; the message says at which step."""


class Source(Protocol):
    def batch(self, step: int) -> Tensor:
        """(B, T + 1) token ids. Raises DataEnded."""
        ...

    def held_out(self) -> Tensor:
        """(n, T + 1) token ids."""
        ...


@dataclass(frozen=True)
class Drawn:
    """The card's text. seed: of the batches."""

    problem: LanguageProblem
    seed: int

    def batch(self, step: int) -> Tensor:
        return self.problem.batch(self.seed, step)

    def held_out(self) -> Tensor:
        return self.problem.held_out_batch()


@dataclass(frozen=True)
class Once:
    """Each window of a text at most once. tokens: (n,) ids.  batch_size: B.  context: T.  kept_out: tokens for validation."""

    tokens: Tensor = field(repr=False)
    seed: int
    batch_size: int
    context: int
    kept_out: int
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "_order", torch.randperm(max(self.windows, 0), generator=generator(self.seed, 0, 0, ORDER)))

    @property
    def all_windows(self) -> int:
        return (len(self.tokens) - 1) // self.context

    @property
    def n_held_out(self) -> int:
        return max(1, min(-(-self.kept_out // self.context), self.all_windows // MOST_HELD_OUT))

    @property
    def windows(self) -> int:
        """For training."""
        return self.all_windows - self.n_held_out

    @property
    def steps(self) -> int:
        return max(self.windows, 0) // self.batch_size

    def require(self, steps: int) -> None:
        """Raises ValueError where the text ends before the last step."""
        if steps > self.steps:
            raise ValueError(
                f"{self.name} has {len(self.tokens):,} tokens, that is {max(self.windows, 0):,} windows of {self.context} for training, "
                f"and {steps} steps of {self.batch_size} need {steps * self.batch_size:,}: it ends after step {self.steps}; "
                f"give {f'--steps {self.steps} at most' if self.steps else 'a smaller --batch'}, or a longer text"
            )

    def batch(self, step: int) -> Tensor:
        which = self._order[step * self.batch_size : (step + 1) * self.batch_size]
        if len(which) < self.batch_size:
            raise DataEnded(f"{self.name} ends after step {self.steps}")
        return self._windows(which + self.n_held_out)

    def held_out(self) -> Tensor:
        return self._windows(torch.arange(self.n_held_out))

    def _windows(self, which: Tensor) -> Tensor:
        return self.tokens[which[:, None] * self.context + torch.arange(self.context + 1)].long()


class Streamed:
    """Windows in the order of a stream that nobody knows the length of. A batch before the last one starts the stream anew."""

    def __init__(
        self, open_: Callable[[], Iterator[str]], coder: Coder, *, batch_size: int, context: int, kept_out: int, name: str
    ) -> None:
        self._open, self._coder, self._name = open_, coder, name
        self._batch_size, self._context = batch_size, context
        self._first = -(-kept_out // context)
        self._rows: Iterator[Tensor] = iter(())
        self._at = -1  # windows taken
        self._kept_out: Tensor | None = None

    def _take(self, start: int, count: int) -> Tensor:
        if self._at < 0 or start < self._at:
            self._rows, self._at = windows(self._coder, self._open(), self._context), 0
        rows = list(islice(self._rows, start - self._at, start - self._at + count))
        self._at = start + count
        if len(rows) < count:
            raise DataEnded(
                f"{self._name} has ended: {count} windows from number {start} on were wanted and {len(rows)} were left; "
                "give fewer --steps, or another data set"
            )
        return torch.stack(rows)

    def batch(self, step: int) -> Tensor:
        return self._take(self._first + step * self._batch_size, self._batch_size)

    def require(self) -> None:
        """Reads what is held out, so that what cannot be read is said before the first step and nothing has to be read after the last.

        Raises ValueError where the stream cannot be opened or ends here already.
        """
        try:
            self.held_out()
        except DataEnded as end:
            raise ValueError(str(end)) from end

    def held_out(self) -> Tensor:
        """Read once, at the beginning of the stream."""
        if self._kept_out is None:
            rows = list(islice(windows(self._coder, self._open(), self._context), self._first))
            if len(rows) < self._first:
                raise DataEnded(f"{self._name} has {len(rows)} windows, and {self._first} are held out; give another data set")
            self._kept_out = torch.stack(rows)
        return self._kept_out


def source_of(text: str | None, tokenizer: str | None, problem: LanguageProblem, *, seed: int, steps: int) -> Source:
    """problem: the card's, with the model, batch and context of the job.

    Raises ValueError for a text or tokenizer that is missing or does not fit the model, and for a text that ends early.
    """
    if text is None and tokenizer is None:
        problem.layout()  # an error here where the vocabulary or the length do not fit
        return Drawn(problem, seed)
    coder, sizes = coder_of(tokenizer, problem), problem.model
    if coder.size > sizes.vocab:
        raise ValueError(f"the tokenizer has {coder.size} tokens, but the model has vocab={sizes.vocab}; give both from one folder")
    shape = {"batch_size": problem.batch_size, "context": sizes.context, "kept_out": problem.held_out_tokens}
    text = problem.text if text is None else text
    if text.startswith(HUB):
        stream = Streamed(hub(text), coder, name=text, **shape)
        stream.require()
        return stream
    found = Once(tokens_of(text, coder), seed, name=f"the text {text!r}", **shape)
    found.require(steps)
    return found
