"""A proof file that asserts nothing does not get past collection. A plugin of pytest, used by proofs/conftest.py and `sandbox prove`."""

import ast
import functools
from pathlib import Path
from typing import Any

import pytest


@functools.cache  # pytest collects a folder anew for every file that it is given
def idle_steps(source: str) -> list[str]:
    """The steps that assert nothing: no assert of anything but a constant, no `.check()` of a certificate, no call of a
    function of the file that does. Where there is no step at all, the words for that.
    """
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    asserting: set[str] = set()
    for _ in functions:  # a function that calls one that asserts, to any depth
        asserting |= {f.name for f in functions if any(_asserts(node, asserting) for node in ast.walk(f))}
    steps = [f.name for f in functions if f.name.startswith("step_")]
    return [name for name in steps if name not in asserting] if steps else ["no function step_..."]


def _asserts(node: ast.AST, asserting: set[str]) -> bool:
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant | ast.Tuple)
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        return node.func.attr == "check"
    return isinstance(node.func, ast.Name) and node.func.id in asserting


class Idle(pytest.Module):
    """A proof file that is not run, because some of its steps assert nothing."""

    def collect(self) -> list[Any]:
        idle = ", ".join(idle_steps(self.path.read_text()))
        raise self.CollectError(f"{self.path.name}: every step must assert something, and these do not: {idle}")


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> Idle | None:
    """A proof file with an idle step is an error; any other is left to pytest."""
    idle = module_path.name.startswith("proof_") and idle_steps(module_path.read_text())
    return Idle.from_parent(parent, path=module_path) if idle else None
