"""Whether a folder can take files, asked before the work and not after it. Leaves nothing behind."""

import tempfile
from contextlib import suppress
from pathlib import Path


def require_writable(folder: Path) -> None:
    """Makes the folder and a file in it, and takes both away again.

    Raises ValueError, one sentence with the path, where the system refuses either.
    """
    made: list[Path] = []
    try:
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"results must go to a folder that can be written, and {folder} cannot: {error}; choose another one") from error
    finally:
        for place in made:
            with suppress(OSError):  # it was never made, or somebody has put something there
                place.rmdir()
