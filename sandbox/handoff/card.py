"""Settings cards: what a claim has shown to hold, sealed, with what another machine needs to run and to check it.

An experiment's file may expose `CARDS: tuple[CardSpec, ...]`: which claim stands behind which settings. A card is
written only while every verdict behind it is ATTAINED or HOLDS, and removed when one of them no longer is, or when nobody
asks for it any more (`cards/.written` tells our files from a reader's own). A file whose rows must not depend on the code of this
room imports nothing from here: it gives (name, claims, recipe) as a plain tuple, and its recipe gives a dict of the
fields of Recipe.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.handoff.canary import canary, canary_code, forecast
from sandbox.handoff.evidence import confession, evidence_of, is_strong, require_strong, weakness_of
from sandbox.handoff.reading import read, write
from sandbox.handoff.recipe import Parts, Recipe, parts_of, recipe_of, whole
from sandbox.handoff.schema import SCHEMA, Card, ParametrisationPart, TargetPart, Transferred, sealed
from sandbox.handoff.showing import show
from sandbox.handoff.verify import verify
from sandbox.handoff.written import forget_removed, remember
from sandbox.ledger.claim import Setting
from sandbox.ledger.loading import load
from sandbox.ledger.result import Result

__all__ = ["CardSpec", "create", "show", "specs", "verify", "write_cards"]
ALONE = "other widths, depths, batch sizes and lengths of training than those of this card: no transfer rule was measured"
CARRIED = "other depths, batch sizes and lengths of training than those of this card; the rule for widths was measured from {} to {}"
UNVALIDATED = (
    "CUDA: the ten losses were computed on a CPU; a GPU must reproduce them before it goes on",
    "reduced precision: weights, gradients and state are in the dtype that the card names",
)


@dataclass(frozen=True)
class CardSpec:
    """name: of the file, results/cards/NAME.json.  claims: ids; the first has the setting that the card is about.

    recipe(setting, values): what to run, from the setting of the telling case and the values of its first sample
    (which hold `their_lr` in a comparison of two tuned methods).
    """

    name: str
    claims: tuple[str, ...]
    recipe: Callable[[Setting, Mapping[str, Any]], Recipe | Mapping[str, Any]]

    def __post_init__(self):
        if not self.claims:
            raise ValueError(f"the card {self.name!r} needs at least one claim behind it; name it in claims=")


def create(
    recipe: Recipe,
    results: Sequence[Result],
    *,
    transfer: Mapping[str, Transferred] | None = None,
    target: TargetPart | None = None,
    unvalidated: Sequence[str] | None = None,
    known: Card | None = None,
    weak_too: bool = False,
) -> Card:
    """A sealed card. unvalidated: what was not tried; None: what can be told from the other parts.

    known: an earlier card; its canary and forecast are kept where settings and code are the same.  weak_too: weak verdicts stand in
    the card too, under the word UNVALIDATED.

    Raises ValueError where a verdict behind it is weak, quoting the first, and where a card cannot hold the recipe.
    """
    if not results:
        raise ValueError("a card needs at least one verdict behind it, got none")
    if not weak_too:
        require_strong(results)
    parts = parts_of(recipe)
    if recipe_of(parts) != whole(recipe):
        raise ValueError("a card must give back the recipe it was made from, and this one does not; check the tables of classes")
    seen, expected = (known.canary, known.forecast) if _same(known, parts) else (canary(recipe), forecast(recipe))
    confessions = [confession(result) for result in results if not is_strong(result)]
    data = {
        "schema": SCHEMA,
        **_plain(parts),
        "transfer": dict(transfer) if transfer else None,
        "target": target,
        "evidence": [evidence_of(result) for result in results if result.outcome is not None],
        "canary": seen,
        "forecast": expected,
        "unvalidated": [*confessions, *(not_tried(transfer) if unvalidated is None else unvalidated)],
    }
    return sealed(data)


def not_tried(transfer: Mapping[str, Transferred] | None) -> tuple[str, ...]:
    """What no measurement behind a card says anything about."""
    lr = (transfer or {}).get("lr")
    return (CARRIED.format(min(lr.widths), max(lr.widths)) if lr else ALONE, *UNVALIDATED)


def write_cards(results: Sequence[Result], out_dir: Path, root: Path) -> tuple[Path, ...]:
    """Writes out_dir/cards/NAME.json for every CardSpec below root/experiments whose claims hold; returns the paths.

    A card is removed whose claims do not hold now: judged otherwise, not run, or in error; and so is one that we wrote and
    that no CardSpec names any more. Where settings and code did not change, the stored ten losses are kept, those of a
    published card (root/experiments/records/cards) included, so a second call runs nothing.

    Raises ValueError where a CardSpec names a claim that nothing has, and where two share a name.
    """
    by_id, folder, wanted = {result.claim.id: result for result in results}, out_dir / "cards", specs(root)
    for spec in wanted:
        _refuse_unknown(spec, by_id)
    forget_removed(folder, [spec.name for spec in wanted])
    written = []
    for spec in wanted:
        behind, path = [by_id[claim] for claim in spec.claims], folder / f"{spec.name}.json"
        if not all(is_strong(result) for result in behind):
            path.unlink(missing_ok=True)
            continue
        recipe, extra = made_by(spec, behind[0])
        card = create(recipe, behind, **extra, known=_stored(recipe, path, root))
        write(card, path)
        written.append(path)
    remember(folder, written)
    return tuple(written)


def made_by(spec: CardSpec, first: Result) -> tuple[Recipe, dict[str, Any]]:
    """The recipe of a card and its `transfer` and `target`, where plain data gives them. first: of the claim that the card is about.

    Raises ValueError where that claim has no run to take the settings from.
    """
    if first.telling is None:
        raise ValueError(f"the card {spec.name!r} takes its settings from a run, and {weakness_of(first)}; run it with `sandbox check`")
    fit = first.telling.verdict.fit
    try:
        made = spec.recipe(first.telling.setting, fit.samples[0].values if fit else {})
    except KeyError as error:
        raise ValueError(f"the card {spec.name!r} needs the value {error} of a run, and {weakness_of(first)}") from error
    if isinstance(made, Recipe):
        return made, {}
    plain = dict(made)
    carried = plain.pop("transfer", None)
    extra = {"transfer": carried and {name: Transferred.model_validate(one) for name, one in carried.items()}}
    if plain.get("parametrisation") is not None:
        plain["parametrisation"] = ParametrisationPart.model_validate(plain["parametrisation"])
    target = plain.pop("target", None)
    return Recipe(**plain), extra | {"target": target and TargetPart.model_validate(target)}


def _refuse_unknown(spec: CardSpec, by_id: Mapping[str, Result]) -> None:
    for claim in spec.claims:
        if claim not in by_id:
            near = ", ".join(difflib.get_close_matches(claim, sorted(by_id), n=3, cutoff=0.4)) or "none"
            raise ValueError(f"the card {spec.name!r} rests on {claim!r}, and no claim has that id; the nearest are: {near}")


def specs(root: Path) -> tuple[CardSpec, ...]:
    """Every CardSpec of experiments/*.py; files that do not speak of CARDS are not loaded.

    Raises ValueError where two share a name.
    """
    files = [file for file in sorted((root / "experiments").glob("*.py")) if "CARDS" in file.read_text(encoding="utf-8")]
    entries = [entry for file in files for entry in getattr(load(file), "CARDS", ())]
    found = [entry if isinstance(entry, CardSpec) else CardSpec(*entry) for entry in entries]
    names = [spec.name for spec in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"every card needs its own name; {twice} stand more than once in experiments/")
    return tuple(found)


def _stored(recipe: Recipe, path: Path, root: Path) -> Card | None:
    """The first stored card with the same settings and code."""
    for place in (path, root / "experiments" / "records" / "cards" / path.name):
        try:
            card, problems = read(place)
        except ValueError:
            continue
        if not problems and _same(card, parts_of(recipe)):
            return card
    return None


def _same(card: Card | None, parts: Parts) -> bool:
    return card is not None and card.canary.code == canary_code() and _plain(card) == _plain(parts)


def _plain(parts: Card | Parts) -> dict[str, Any]:
    return {key: getattr(parts, key) for key in ("optimizer", "schedule", "model", "data", "parametrisation")}
