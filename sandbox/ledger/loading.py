"""Experiment files, by path: is there a top-level CLAIMS, and the module itself. Imports nothing heavy, because workers start here."""

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def has_claims(file: Path) -> bool:
    """Whether the file assigns CLAIMS at its top level; read from the syntax tree, nothing is executed."""
    return any(
        isinstance(target, ast.Name) and target.id == "CLAIMS"
        for node in ast.parse(file.read_bytes(), str(file)).body
        for target in _targets(node)
    )


def _targets(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) else []


def load(file: Path) -> ModuleType:
    """The module `experiments_<stem>`, executed once a process.

    It is registered in sys.modules, as dataclasses need. The same stem from another folder replaces it.
    """
    name = f"experiments_{file.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(file):
        return known
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
