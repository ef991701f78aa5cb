"""Finds the claims: every `experiments/*.py` below a root that assigns CLAIMS, loaded by path."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sandbox.ledger.claim import Claim
from sandbox.ledger.code_version import code_version
from sandbox.ledger.loading import has_claims, load


@dataclass(frozen=True)
class Experiment:
    """One file of experiments/ and its claims."""

    file: Path
    claims: tuple[Claim, ...]

    @cached_property
    def code(self) -> str:
        return code_version(self.file)


def find_root(start: Path) -> Path:
    """The nearest folder, from `start` upward, that holds both pyproject.toml and experiments/. Raises ValueError if there is none."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "experiments").is_dir():
            return folder
    raise ValueError(
        f"a root holds pyproject.toml and a folder experiments/; neither {start} nor a folder above it does: "
        "go there, or name it with --root FOLDER"
    )


def collect(root: Path) -> tuple[Experiment, ...]:
    """All experiments of a root, by file name.

    Raises ValueError where experiments/ is missing, a file cannot be loaded, CLAIMS holds something else, an id stands twice,
    or claims that share rows measure differently.
    """
    folder = root / "experiments"
    if not folder.is_dir():
        raise ValueError(f"claims are read from experiments/*.py, and {folder} is not a folder; name another root with --root FOLDER")
    experiments = tuple(_experiment(file) for file in sorted(folder.glob("*.py")) if _wanted(file))
    first: dict[str, Path] = {}
    for experiment in experiments:
        for claim in experiment.claims:
            if claim.id in first:
                raise ValueError(f"a claim id stands once; {claim.id!r} stands in {first[claim.id].name} and in {experiment.file.name}")
            first[claim.id] = experiment.file
    return experiments


def choose(experiments: Sequence[Experiment], names: Sequence[str]) -> tuple[Claim, ...]:
    """The claims with these ids; a name without a dot takes the whole system (`rso`). No names: all of them.

    Raises ValueError for a name that nothing has, with the nearest ones.
    """
    claims = [claim for experiment in experiments for claim in experiment.claims]
    known = sorted({claim.id for claim in claims} | {claim.id.split(".")[0] for claim in claims})
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
            hint = f"the nearest are {', '.join(near)}" if near else "no id is near it"
            raise ValueError(f"no claim is named {name!r} among {len(claims)}; {hint}; `sandbox list` shows them all")
    return tuple(claim for claim in claims if not names or claim.id in names or claim.id.split(".")[0] in names)


def _wanted(file: Path) -> bool:
    try:
        return has_claims(file)
    except SyntaxError as error:
        raise ValueError(f"{file} is not Python: {error.msg} in line {error.lineno}") from error


def _experiment(file: Path) -> Experiment:
    try:
        claims = tuple(load(file).CLAIMS)
    except Exception as error:
        raise ValueError(f"{file} could not be loaded: {type(error).__name__}: {error}") from error
    strange = [type(claim).__name__ for claim in claims if not isinstance(claim, Claim)]
    if strange:
        raise ValueError(f"CLAIMS holds Claim objects only; {file} has {', '.join(strange)} in it")
    measures: dict[str, tuple[str, object]] = {}
    for claim in claims:
        measure = getattr(claim.measure, "__wrapped__", claim.measure)
        other, known = measures.setdefault(claim.rows_of, (claim.id, measure))
        if known != measure:
            raise ValueError(f"{other} and {claim.id} share the rows of {claim.rows_of!r} but measure with different functions, in {file}")
    return Experiment(file, claims)
