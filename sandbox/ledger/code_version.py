"""Code version of an experiment: what must not have changed for a stored row to be used again.

    sha256( torch's version | every source of `sandbox/` that the file imports, transitively | the file itself )

Imports are read from the syntax tree (both spellings, and those inside functions), so nothing is executed.
"""

import ast
import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


@cache
def torch_version() -> str:
    """The installed version, without importing torch; "none" where there is none."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return "none"


def code_version(file: Path, package: Path = PACKAGE) -> str:
    """First 16 hex digits of the hash. package: the folder of the package whose sources count."""
    digest = hashlib.sha256(torch_version().encode())
    for source in (*sorted(sources_of(file, package)), file):
        name = source.relative_to(package).as_posix() if source.is_relative_to(package) else source.name
        digest.update(f"\n# {name}\n".encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def sources_of(file: Path, package: Path = PACKAGE) -> frozenset[Path]:
    """Every source of the package that `file` imports, directly or through another of them; `file` itself is not in it."""
    found, left = set(), [file]
    while left:
        new = imported(left.pop(), package) - found
        found |= new
        left += new
    return frozenset(found)


@cache
def imported(file: Path, package: Path = PACKAGE) -> frozenset[Path]:
    """Sources of the package named in the import statements of `file`, with the `__init__.py` of every folder on the way."""
    names = set()
    for node in ast.walk(ast.parse(file.read_bytes(), str(file))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(path for name in names for path in _on_the_way(name, package))


def _on_the_way(name: str, package: Path) -> set[Path]:
    first, *parts = name.split(".")
    if first != package.name:
        return set()
    folders = [package.joinpath(*parts[:i]) for i in range(len(parts) + 1)]
    candidates = [folder / "__init__.py" for folder in folders] + [folders[-1].with_suffix(".py")]
    return {path for path in candidates if path.is_file()}
