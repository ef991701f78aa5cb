"""Texts of a job as tokens: files, Parquet, a stream of the hub, and the tokenizer that reads them."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox.handoff.plain_text import printable
from sandbox.models.language import LanguageProblem
from sandbox.models.text import cached, decode
from sandbox.models.tokenizers import Kept

HUB = "hub:"


@dataclass(frozen=True)
class Coder:
    """A tokenizer of a job. codec: see `sandbox.models.tokenizers`."""

    codec: Any

    @property
    def size(self) -> int:
        return self.codec.size

    def encode(self, text: str) -> np.ndarray:
        """Without the marks that some tokenizers put around every text."""
        library = getattr(self.codec, "library", None)
        if library is None:
            return self.codec.encode(text)
        lines = library.encode_batch_fast(text.splitlines(keepends=True), add_special_tokens=False)
        return np.array([i for line in lines for i in line.ids], dtype=np.int64)


def windows(coder: Coder, documents: Iterable[str], context: int) -> Iterator[Tensor]:
    """Windows of T + 1 tokens, T apart, of all documents in a row."""
    left = np.empty(0, dtype=np.int64)
    for text in documents:
        left = np.concatenate([left, coder.encode(text + "\n")])
        at = 0
        while at + context < len(left):
            yield torch.from_numpy(left[at : at + context + 1])
            at += context
        left = left[at:]


def coder_of(tokenizer: str | None, problem: LanguageProblem) -> Coder:
    """The card's, or a tokenizer.json, or the one in a folder. Raises ValueError where there is none, and for a file that holds none."""
    if tokenizer is None:
        return Coder(problem.codec())
    path = Path(tokenizer) / "tokenizer.json" if Path(tokenizer).is_dir() else Path(tokenizer)
    if not path.is_file():
        raise ValueError(f"the tokenizer {str(path)!r} does not exist; give a tokenizer.json or a folder that holds one")
    coder = Coder(Kept(str(path)).codec(None))
    try:
        coder.size  # noqa: B018  the library reads the file here
    except Exception as error:  # it raises nothing narrower
        raise ValueError(f"the tokenizer {str(path)!r} is no tokenizer.json of the library tokenizers: {one_line(error)}") from error
    return coder


def files_of(text: str) -> list[Path]:
    """Raises ValueError where there is no text."""
    path = Path(text)
    files = sorted([*path.glob("*.txt"), *path.glob("*.parquet")]) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise ValueError(f"the text {text!r} must be a file, a folder with *.txt or *.parquet files, or hub:NAME; nothing of it is there")
    return files


def documents_of(file: Path) -> Iterator[str]:
    """Raises ValueError for a file that is no text, is cut off, or has no column "text"."""
    if file.suffix != ".parquet":
        yield decode(file)
        return
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise ValueError(f"{file} needs the package pyarrow to be read: pip install pyarrow, or give *.txt files") from None
    try:
        opened = parquet.ParquetFile(file)
        require_text(str(file), opened.schema_arrow.names)
        for batch in opened.iter_batches(columns=["text"]):
            yield from (text_in(row, str(file)) for row in batch.column(0).to_pylist() if row)
    except (OSError, ValueError, KeyError, IndexError) as error:  # pyarrow's own errors are kinds of these
        raise ValueError(f'{file} cannot be read as Parquet with a column "text": {one_line(error)}') from error


def require_text(name: str, columns: Iterable[str]) -> None:
    """Raises ValueError where there is no column "text"."""
    if "text" not in (found := sorted(columns)):
        raise ValueError(f"a column 'text' is needed, and {name} has {printable(', '.join(found)) or 'none'}")


def text_in(row: Any, name: str) -> str:
    """Raises ValueError for anything else than a text."""
    if not isinstance(row, str):
        raise ValueError(f"its column 'text' must hold texts, and a row of {name} is a {type(row).__name__}")
    return row


def one_line(error: Exception) -> str:
    return printable(" ".join(str(error).split())) or type(error).__name__


def tokens_of(text: str, coder: Coder) -> Tensor:
    """(n,) int32 ids of all files; computed once and kept on disk by what they depend on."""
    files = files_of(text)
    key = hashlib.sha256(coder.codec.name.encode())
    for file in files:
        key.update(hashlib.sha256(file.read_bytes()).digest())

    def encode() -> bytes:
        buffer = io.BytesIO()
        parts = [coder.encode(document + "\n") for file in files for document in documents_of(file)]
        np.save(buffer, np.concatenate(parts or [np.empty(0)]).astype(np.int32))
        return buffer.getvalue()

    return torch.from_numpy(np.load(io.BytesIO(cached(f"windows-{key.hexdigest()[:24]}.npy", encode))))


def hub(text: str) -> Callable[[], Iterator[str]]:
    """A function that opens the stream; what then goes wrong, a missing network among it, is a ValueError that names the data set.

    Raises ValueError where the package is missing or no data set is named.
    """
    name, config, split = (*text.removeprefix(HUB).split(":"), "", "")[:3]
    if not name:
        raise ValueError(f"{text!r} names no data set; give hub:NAME, hub:NAME:CONFIG or hub:NAME:CONFIG:SPLIT")
    try:
        from datasets import load_dataset
    except ImportError:
        raise ValueError(f"{text} needs the package datasets: pip install datasets, or give a file or a folder") from None

    def documents() -> Iterator[str]:
        try:
            for row in load_dataset(name, config or None, split=split or "train", streaming=True):
                require_text("a row of it", row)
                if row["text"]:
                    yield text_in(row["text"], "it")
        except Exception as error:  # of the network, the hub, the package or a file's format: of no one kind
            raise ValueError(f"{text} cannot be read: {one_line(error)}; give another data set, a file or a folder") from error

    return documents
