"""Two tokenizers that lose nothing: characters, and byte-level pairs (BPE) learned from the pretraining part.

A specification (`Characters`, `BytePairs`, `Kept`) is plain data; `codec(corpus)` makes the coder that it stands for.
For every text x of the corpus, decode(encode(x)) == x; byte pairs keep every text whatsoever.

Source: Sennrich et al. (2016), https://arxiv.org/abs/1508.07909, and the byte alphabet of Radford et al. (2019) (both
recalled), as made by the library `tokenizers`, whose training is deterministic.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sandbox.models.text import Corpus, cached


class Codec(Protocol):
    """size: number of token ids.  name: what a cache may know it by."""

    size: int
    name: str

    def encode(self, text: str) -> np.ndarray: ...

    def decode(self, ids: np.ndarray) -> str: ...


@dataclass(frozen=True)
class CharacterCodec:
    """alphabet: the characters in the order of their ids, which is the order of Unicode."""

    alphabet: str

    @property
    def size(self) -> int:
        return len(self.alphabet)

    @property
    def name(self) -> str:
        return f"characters-{hashlib.sha256(self.alphabet.encode()).hexdigest()[:16]}"

    def encode(self, text: str) -> np.ndarray:
        """(n,) int64 ids. Raises ValueError for a character outside the alphabet."""
        known, points = points_of(self.alphabet), points_of(text)
        ids = np.minimum(np.searchsorted(known, points), self.size - 1)
        if (wrong := known[ids] != points).any():
            at = int(wrong.argmax())
            raise ValueError(f"character {text[at]!r} at {at} is not among the {self.size} characters of the tokenizer's text")
        return ids

    def decode(self, ids: np.ndarray) -> str:
        return points_of(self.alphabet)[ids].astype("<u4").tobytes().decode("utf-32-le")


def points_of(text: str) -> np.ndarray:
    """Unicode code points, (n,) uint32."""
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


@dataclass(frozen=True)
class BytePairCodec:
    """state: the JSON of the library's tokenizer."""

    state: str

    @property
    def library(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self.state)

    @property
    def size(self) -> int:
        return self.library.get_vocab_size()

    @property
    def name(self) -> str:
        return f"bpe-{hashlib.sha256(self.state.encode()).hexdigest()[:16]}"

    def encode(self, text: str) -> np.ndarray:
        """(n,) int64 ids, line by line."""
        lines = self.library.encode_batch_fast(text.splitlines(keepends=True))
        return np.array([i for line in lines for i in line.ids], dtype=np.int64)

    def decode(self, ids: np.ndarray) -> str:
        return self.library.decode(ids.tolist(), skip_special_tokens=False)


@dataclass(frozen=True)
class Characters:
    """One token per distinct character of the whole text."""

    def codec(self, corpus: Corpus) -> Codec:
        return CharacterCodec("".join(sorted(set(corpus.content))))


@dataclass(frozen=True)
class BytePairs:
    """vocab: number of tokens, at least 256 (the bytes). Raises ValueError below that."""

    vocab: int = 512

    def __post_init__(self) -> None:
        if self.vocab < 256:
            raise ValueError(f"byte pairs need vocab >= 256, one for each byte, got {self.vocab}; for fewer use Characters()")

    def codec(self, corpus: Corpus) -> Codec:
        """Raises ValueError where the text is too small to yield so many tokens."""
        text = corpus.part("pretrain")
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        codec = BytePairCodec(cached(f"bpe-{self.vocab}-{key}.json", lambda: train(text, self.vocab)).decode())
        if codec.size != self.vocab:
            raise ValueError(
                f"{len(text)} characters of {corpus.name!r} yield only {codec.size} tokens "
                f"of the {self.vocab} asked for: "
                f"use BytePairs({codec.size}) or a longer text"
            )
        return codec


@dataclass(frozen=True)
class Kept:
    """path: a tokenizer.json that was kept with a model."""

    path: str

    def codec(self, corpus: Corpus) -> Codec:
        """The same for every corpus. Raises ValueError where the file is missing."""
        if not Path(self.path).is_file():
            raise ValueError(f"the kept tokenizer {self.path!r} does not exist: it lies beside the weights of its model")
        return BytePairCodec(Path(self.path).read_text(encoding="utf-8"))


Tokenizer = Characters | BytePairs | Kept


def train(text: str, vocab: int) -> bytes:
    """Learn byte pairs from the lines of a text; the JSON of the library's tokenizer."""
    from tokenizers import Tokenizer as Library
    from tokenizers import decoders, models, pre_tokenizers, trainers

    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=vocab, initial_alphabet=alphabet, show_progress=False)
    library.train_from_iterator(text.splitlines(keepends=True), trainer)
    return library.to_str().encode()
