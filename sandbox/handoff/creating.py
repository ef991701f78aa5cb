"""A card from names: of claims, or of a card that an experiment's file asks for; from rows that are stored or recorded, nothing is run
but the card's own ten steps.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path

from sandbox.handoff.card import CardSpec, create, made_by, specs
from sandbox.handoff.evidence import require_strong
from sandbox.handoff.schema import Card
from sandbox.ledger.bench import Bench, open_bench
from sandbox.ledger.check import check
from sandbox.ledger.result import Result
from sandbox.ledger.store import Store


def create_named(names: Sequence[str], *, unvalidated: bool = False, root: Path | None = None, out: Path | None = None) -> tuple[str, Card]:
    """(name of the card, card). names: ids of claims, or the name of one card. unvalidated: weak verdicts are written down instead of
    refused.

    Raises ValueError for a name that nothing has, where no card or more than one rests on the claims, and at the first weak verdict.
    """
    bench = open_bench(root, out)
    spec = chosen(names, specs(bench.root))
    wanted = tuple(dict.fromkeys((*spec.claims, *(name for name in names if name != spec.name))))
    behind = judged(bench, wanted)
    if not unvalidated:
        require_strong(behind)
    recipe, extra = made_by(spec, behind[0])
    return spec.name, create(recipe, behind, **extra, weak_too=unvalidated)


def chosen(names: Sequence[str], known: Sequence[CardSpec]) -> CardSpec:
    """The one card that is named, or that rests on a claim that is named. Raises ValueError for none and for several."""
    if not names:
        raise ValueError(f"a card is made from claims or from its name, got none; the cards are {_listed(known)}")
    if named := [spec for spec in known if spec.name in names]:
        return _only(named, names)
    if not (resting := [spec for spec in known if set(spec.claims) & set(names)]):
        words = dict.fromkeys([*(spec.name for spec in known), *(claim for spec in known for claim in spec.claims)])  # each once
        near = ", ".join(difflib.get_close_matches(names[0], words, n=3, cutoff=0.4)) or "none"
        raise ValueError(f"no card rests on {', '.join(map(repr, names))}; the nearest names are: {near}; the cards are {_listed(known)}")
    return _only(resting, names)


def judged(bench: Bench, claims: Sequence[str]) -> list[Result]:
    """What is stored or recorded of these claims. Raises ValueError for one that no file has."""
    known = {claim.id: experiment for experiment in bench.experiments for claim in experiment.claims}
    for claim in claims:
        if claim not in known:
            near = ", ".join(difflib.get_close_matches(claim, sorted(known), n=3, cutoff=0.4)) or "none"
            raise ValueError(f"no claim has the id {claim!r}; the nearest are: {near}")
    files = {known[claim].file: known[claim] for claim in claims}  # all claims of a file, for they are corrected together
    with Store(bench.ledger) as store:
        results = {result.claim.id: result for result in check(tuple(files.values()), store)}
    return [results[claim] for claim in claims]


def _only(found: Sequence[CardSpec], names: Sequence[str]) -> CardSpec:
    if len(found) > 1:
        raise ValueError(f"{len(found)} cards answer to {', '.join(map(repr, names))}: {_listed(found)}; name one of them")
    return found[0]


def _listed(known: Sequence[CardSpec]) -> str:
    return ", ".join(spec.name for spec in known) or "none: no file of experiments/ asks for one"
