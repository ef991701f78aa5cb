"""Certificates of the proof files, checked again by the kernel of Coq.

A proof file may hold CERTIFICATES, a tuple of what `sandbox.theory.coq` can write down. Each file becomes one Coq file.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox.ledger.proofs import Proof
from sandbox.theory.coq import NoCoq, Proved, compiled, document


@dataclass(frozen=True)
class Second:
    """What Coq said of one proof. theorems: how many.  said: why it refuses, or why it was not asked."""

    id: str
    theorems: int
    status: Literal["proved", "failed", "skipped"]
    said: str = ""

    def __str__(self) -> str:
        return f"coq: {self.id}: {self.theorems} theorem{'s' * (self.theorems != 1)} {self.status}{': ' * bool(self.said)}{self.said}"


def certificates(path: Path) -> tuple[Proved, ...]:
    """Raises TypeError for anything else in CERTIFICATES, ValueError where two have one name."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = tuple(getattr(module, "CERTIFICATES", ()))
    for one in found:
        if not isinstance(one, Proved):
            raise TypeError(f"CERTIFICATES of {path.name} must hold Certificate, Identity and Induction, got {type(one).__name__}")
    if len({one.name for one in found}) < len(found):
        raise ValueError(f"the certificates of {path.name} must have names of their own, got {[one.name for one in found]}")
    return found


def asked(root: Path, chosen: Sequence[Proof], folder: Path) -> tuple[Second, ...]:
    """Write folder/proof_<id>.v for every proof that has certificates, and let coqc check it."""
    folder.mkdir(parents=True, exist_ok=True)
    having = [(proof, held) for proof in chosen if (held := certificates(root / proof.file))]
    return tuple(_asked(proof, held, folder) for proof, held in having)


def _asked(proof: Proof, held: Sequence[Proved], folder: Path) -> Second:
    try:
        compiled(document(held), folder, name=f"proof_{proof.id}")
    except NoCoq as missing:
        return Second(proof.id, len(held), "skipped", str(missing))
    except ValueError as refused:
        return Second(proof.id, len(held), "failed", str(refused))
    return Second(proof.id, len(held), "proved")
