"""The proofs bite: with a bound changed by one part in a thousand, the proof file that names it must fail."""

import ast
import importlib
import importlib.util
import pkgutil
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import sympy

import sandbox.theory
from sandbox.ledger.second_kernel import certificates
from sandbox.theory.base import Bound

ROOT = Path(__file__).resolve().parents[2]
PROOFS = sorted((ROOT / "proofs").glob("proof_*.py"))
MODULES = [importlib.import_module(f"sandbox.theory.{found.name}") for found in pkgutil.iter_modules(sandbox.theory.__path__)]
PROVED = tuple(  # each where it is defined, not where it is imported
    (module, name)
    for module in MODULES
    for name, bound in vars(module).items()
    if isinstance(bound, Bound) and bound.proof and f"sandbox.theory.{bound.name.partition('.')[0]}" == module.__name__
)


def first_failure(path: Path) -> str | None:
    """Name of the first step of a proof file that fails when it is loaded afresh."""
    spec = importlib.util.spec_from_file_location(f"fresh_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in [n for n in vars(module) if n.startswith("step_")]:
        try:
            getattr(module, name)()
        except AssertionError:
            return name
    return None


@pytest.mark.parametrize(("module", "name"), PROVED, ids=lambda x: x if isinstance(x, str) else x.__name__)
@pytest.mark.parametrize("factor", [sympy.Rational(999, 1000), sympy.Rational(1001, 1000)])
def test_a_changed_bound_is_no_longer_proved(monkeypatch, module, name, factor):
    bound = getattr(module, name)
    monkeypatch.setattr(module, name, replace(bound, value=factor * bound.value))
    assert first_failure(ROOT / bound.proof)


@pytest.mark.parametrize("path", PROOFS, ids=lambda p: p.stem)
def test_a_proof_states_its_parts_and_uses_no_float(path):
    tree = ast.parse(path.read_text())
    statement = ast.get_docstring(tree)
    assert all(part in statement for part in ("Theorem.", "Source:", "Bound", "Not here:"))
    numbers = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert not [n for n in numbers if isinstance(n, float)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "float"]


@pytest.mark.parametrize("path", PROOFS, ids=lambda p: p.stem)
def test_a_proof_is_attained_and_says_what_breaks_it(path):
    """An instance that attains it, a constant that is refused, an assumption dropped, and a wider domain, or why there is none."""
    tree = ast.parse(path.read_text())
    steps = " ".join(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("step_"))
    assert all(re.search(word, steps) for word in ("attained", "no_smaller|no_larger", "drop")), steps
    assert "beyond" in steps or "Beyond:" in ast.get_docstring(tree), steps


@pytest.mark.parametrize("path", PROOFS, ids=lambda p: p.stem)
def test_a_proof_is_named_by_a_bound(path):
    assert f"proofs/{path.name}" in {getattr(module, name).proof for module, name in PROVED}


@pytest.mark.parametrize("path", PROOFS, ids=lambda p: p.stem)
def test_a_proof_is_checked_by_the_second_kernel_too_or_says_why_not(path):
    """CERTIFICATES that hold something and that a step checks, or a sentence under "Not here:"."""
    tree = ast.parse(path.read_text())
    not_here = ast.get_docstring(tree).partition("Not here:")[2]
    says_why = re.search(r"[Tt]he second kernel does not see this file: \w+", not_here) is not None
    checked = any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "check"
        for step in tree.body
        if isinstance(step, ast.FunctionDef) and step.name.startswith("step_")
        for node in ast.walk(step)
    )
    held = certificates(path)
    assert bool(held) != says_why, (
        f"{path.name} holds {len(held)} certificates and {'says' if says_why else 'does not say'} why there are none"
    )
    assert checked == bool(held)


def test_proofs_are_run_with_asserts_on():
    assert not sys.flags.optimize
