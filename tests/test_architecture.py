"""The floor plan as a test: imports go one way, and files keep to their budgets."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EVERY_ROOM = {p.stem for p in (ROOT / "sandbox").iterdir() if not p.name.startswith("_")}
MAY_IMPORT = {
    "draws": set(),
    "outputs": set(),
    "perturbations": set(),
    "problems": set(),
    "optimizers": set(),
    "theory": set(),
    "models": {"problems"},
    "oracles": {"problems", "models"},
    "curvature": {"problems", "models"},
    "shells": {"optimizers"},
    "memory": {"shells", "models", "optimizers"},
    "run": {"problems", "models", "oracles", "optimizers", "shells"},
    "run_ensemble": {"run", "problems", "models", "oracles", "optimizers", "shells"},
    "fit": {"run", "curvature", "memory"},
    "verdict": {"fit", "theory"},
    "ledger": {"verdict", "fit", "run", "run_ensemble", "theory"},
    "report": {"ledger", "verdict", "theory"},
    "handoff": {"verdict", "fit", "run", "memory", "models", "optimizers", "shells", "ledger"},
    "scale": {"handoff", "models", "shells", "optimizers", "memory"},
    "hessian_targets": {"curvature", "models", "optimizers", "run", "problems"},
    "measures": {"curvature", "models", "optimizers", "run", "problems", "ledger"},
    "cli_hessian": {"curvature", "models", "report"},
    "cli_card": {"handoff"},
    "cli_preflight": {"handoff", "cli_card"},
    "cli_train": {"scale", "cli_card"},
    "cli_tune": {"handoff", "ledger", "report", "cli_card"},
    "cli": EVERY_ROOM,
}
LEAF = {
    "draws",
    "outputs",
    "perturbations",
}  # random numbers and directions as a pure function of a key, a check of folders: for every room
FILES = sorted(p for p in (ROOT / "sandbox").rglob("*.py") if p.name != "__init__.py")
each_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))


def room(path: Path) -> str:
    return path.relative_to(ROOT / "sandbox").parts[0].removesuffix(".py")


def modules_imported(path: Path) -> set[str]:
    """Every dotted name that a file imports, at any depth of nesting; relative imports are refused."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports from the root, not relative ones"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return modules


def rooms_imported(path: Path) -> set[str]:
    return {m.split(".")[1] for m in modules_imported(path) if m.startswith("sandbox.")} & EVERY_ROOM


@each_file
def test_imports_go_one_way(path):
    extra = rooms_imported(path) - MAY_IMPORT[room(path)] - {room(path)} - LEAF
    assert not extra, f"{path}: {room(path)} may import {sorted(MAY_IMPORT[room(path)])}, not {sorted(extra)}"


def test_every_room_is_in_the_plan():
    assert EVERY_ROOM == set(MAY_IMPORT)


def test_the_plan_has_no_cycle():
    left = {r: set(needs) for r, needs in MAY_IMPORT.items()}
    while left:
        free = {r for r, needs in left.items() if not needs & left.keys()}
        free |= {"cli"} if left.keys() == {"cli"} else set()
        assert free, f"these rooms import each other in a circle: {sorted(left)}"
        left = {r: needs for r, needs in left.items() if r not in free}


@each_file
def test_files_are_short(path):
    n = len(path.read_text().splitlines())
    assert n <= 250, f"{path} has {n} lines, the budget is 250: split it by subject"


@each_file
def test_names_say_what_they_hold(path):
    assert path.stem not in {"utils", "helpers", "common", "misc"}


@pytest.mark.parametrize("path", sorted((ROOT / "proofs").glob("proof_*.py")), ids=lambda p: p.name)
def test_proofs_see_theory_sympy_and_z3_alone(path):
    allowed = {"sympy", "z3", "sandbox", "fractions", "itertools", "pytest", "collections", "dataclasses"}
    modules = modules_imported(path)
    assert {m.split(".")[0] for m in modules} <= allowed
    assert rooms_imported(path) <= {"theory"}


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.py")), ids=lambda p: p.name)
def test_experiments_do_not_import_each_other(path):
    names = {p.stem for p in (ROOT / "experiments").glob("*.py")}
    assert not {m.split(".")[0] for m in modules_imported(path)} & (names | {"experiments", "proofs", "tests"})


@pytest.mark.parametrize("room_name", ["optimizers", "shells"])
def test_gpu_rooms_need_torch_alone(room_name):
    allowed = set(sys.stdlib_module_names) | {"torch", "sandbox"}
    for path in (ROOT / "sandbox" / room_name).glob("*.py"):
        assert {m.split(".")[0] for m in modules_imported(path)} <= allowed, path


def test_theory_needs_no_torch():
    code = "import sys, glob, importlib\n" + "\n".join(
        f"importlib.import_module('sandbox.theory.{p.stem}')" for p in (ROOT / "sandbox/theory").glob("[a-z]*.py")
    )
    code += "\nassert 'torch' not in sys.modules, 'sandbox.theory pulls torch'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_torchvision_is_never_installed():
    """It breaks transformers beside a CPU build of torch, by its mere presence."""
    assert importlib.util.find_spec("torchvision") is None


def test_the_only_folders_are_those_of_the_floor_plan():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout: the source archive carries no list of tracked files")
    folders = {line.split("/")[0] for line in tracked.stdout.splitlines() if "/" in line}
    assert folders <= {"sandbox", "experiments", "notebooks", "proofs", "tests", ".ci"}
