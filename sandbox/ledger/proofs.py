"""`prove`: runs pytest on the proof files and says which bounds each of them proves.

A proof is `proofs/proof_<name>.py`; a bound names its proof file. What pytest says comes back as JUnit XML.
"""

import difflib
import importlib
import pkgutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import sandbox.theory
from sandbox.theory.base import Bound

MEASURED = ("predicted", "found", "value", "low", "high", "limit", "seeds")


@dataclass(frozen=True)
class Proof:
    """One proof file. id: its name without `proof_`.  bounds: names of the bounds that rest on it."""

    id: str
    file: str
    bounds: tuple[str, ...]


@dataclass(frozen=True)
class Checked:
    """status: `proved` where every step passed.  failed: the steps that did not, with what pytest said."""

    proof: Proof
    status: Literal["proved", "failed"]
    steps: int
    seconds: float
    failed: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The keys of a claim's result too; those that only a measurement has are null."""
        rest = {"status": self.status, "steps": self.steps, "seconds": round(self.seconds, 2), "failed": dict(self.failed)}
        return asdict(self.proof) | rest | dict.fromkeys(MEASURED)


def bounds() -> tuple[Bound, ...]:
    """Every bound that a module of `sandbox.theory` defines, by name."""
    names = [module.name for module in pkgutil.iter_modules(sandbox.theory.__path__, "sandbox.theory.")]
    members = [member for name in sorted(names) for member in vars(importlib.import_module(name)).values()]
    found = {bound.name: bound for member in members for bound in _each(member) if isinstance(bound, Bound)}
    return tuple(found[name] for name in sorted(found))


def proofs(root: Path, names: Sequence[str] = ()) -> tuple[Proof, ...]:
    """The proofs of a root that `names` mean: a proof's id, a bound's name, or nothing for all.

    Raises ValueError for an unknown name, a root without proofs, and a bound whose proof file is not there.
    """
    files = sorted((root / "proofs").glob("proof_*.py"))
    if not files:
        raise ValueError(f"proofs are files proofs/proof_*.py, and {root} has none; name another root with --root FOLDER")
    owners: dict[str, list[str]] = {f"proofs/{file.name}": [] for file in files}
    for bound in bounds():
        if bound.proof and bound.proof not in owners:
            raise ValueError(f"the bound {bound.name} names the proof {bound.proof}, which is not in {root}")
        if bound.proof:
            owners[bound.proof].append(bound.name)
    found = tuple(Proof(Path(file).stem.removeprefix("proof_"), file, tuple(names_)) for file, names_ in owners.items())
    known = {name for proof in found for name in (proof.id, *proof.bounds)}
    for name in names:
        if name not in known:
            near = ", ".join(difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.4)) or "none"
            raise ValueError(f"no proof and no proved bound is named {name!r} among {len(known)}; the nearest are: {near}")
    return tuple(proof for proof in found if not names or {proof.id, *proof.bounds} & set(names))


def prove(root: Path, chosen: Sequence[Proof]) -> tuple[Checked, ...]:
    """Run pytest on these files in a process of its own. Raises ValueError where pytest ends without a report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "proofs.xml"
        options = [
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "sandbox.ledger.proof_guard",
            f"--junitxml={report}",
            "-o",
            "junit_family=xunit1",
            "-o",
            "python_functions=step_* test_*",
        ]
        files = [proof.file for proof in chosen]
        run = subprocess.run([sys.executable, "-m", "pytest", *options, *files], cwd=root, capture_output=True, text=True)
        if not report.is_file():
            raise ValueError(
                f"pytest ended with code {run.returncode} and no report on {', '.join(files)}: {run.stdout[-500:]}{run.stderr[-500:]}"
            )
        cases = list(ElementTree.parse(report).iter("testcase"))
    return tuple(_checked(proof, cases) for proof in chosen)


def _checked(proof: Proof, cases: Sequence[ElementTree.Element]) -> Checked:
    stem = Path(proof.file).stem
    mine = [case for case in cases if stem in (case.get("classname") or "").split(".") or stem in (case.get("name") or "").split(".")]
    failed = {
        case.get("name"): child.get("message") or child.tag
        for case in mine
        for child in case
        if child.tag in ("failure", "error", "skipped")
    }
    if not mine:
        failed = {"(none)": "the file holds no step"}
    seconds = sum(float(case.get("time") or 0) for case in mine)
    return Checked(proof, "failed" if failed else "proved", len(mine), seconds, failed)


def _each(member: Any) -> Sequence[Any]:
    return member if isinstance(member, tuple | list) else tuple(member.values()) if isinstance(member, dict) else (member,)
