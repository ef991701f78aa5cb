"""Which files of a folder of cards are ours: `.written` holds NAME -> sha256 of what we put into NAME.json.

So a card that nobody asks for any more can be removed, while a file that a reader put there, or changed, is left alone.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path


def forget_removed(folder: Path, names: Collection[str]) -> None:
    """Removes the cards that we wrote, are as we left them, and stand under none of these names."""
    for name, digest in _ours(folder).items():
        path = folder / f"{name}.json"
        if name not in names and path.is_file() and _digest(path) == digest:
            path.unlink()


def remember(folder: Path, written: Sequence[Path]) -> None:
    """These cards, and no others, are ours from now on."""
    content = json.dumps({path.stem: _digest(path) for path in written}, indent=1, sort_keys=True) + "\n"
    if written or (folder / ".written").exists():
        (folder / ".written").write_text(content)


def _ours(folder: Path) -> dict[str, str]:
    """{} where there is no list, or none that can be read: then nothing is removed."""
    try:
        return {name: str(digest) for name, digest in json.loads((folder / ".written").read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
