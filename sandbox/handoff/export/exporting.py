"""A card in another program's words, with what is lost and how far that program goes from ours; refused where it is too far."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sandbox.handoff.export.distance import LIMIT, Distance, of_torch, of_trainer
from sandbox.handoff.export.hf import hf
from sandbox.handoff.export.torchtitan import native_optimizer, torchtitan
from sandbox.handoff.export.words import Exported
from sandbox.handoff.reading import read
from sandbox.handoff.recipe import Recipe, recipe_of
from sandbox.handoff.schema import Card, TensorPart
from sandbox.handoff.target_rules import frame_at, predicted_lr
from sandbox.handoff.verify import weak

WIDEST = 10**6
Consumer = Literal["hf", "torchtitan"]


class OtherImplementation(Exception):
    """What the consumer runs under these names is not what the card was measured with; the message says how far it is."""


@dataclass(frozen=True)
class Handed:
    """distance: None where the consumer runs our own code, or where `unmeasured` says why there is none."""

    exported: Exported
    distance: Distance | None
    unmeasured: str = ""

    def remarks(self) -> list[str]:
        """What a reader must know beside the file, a sentence each."""
        lines = [f"lost: {one}" for one in self.exported.lost]
        if self.exported.same_code:
            return [*lines, "distance: none, it runs the card's own shell"]
        return [*lines, f"distance: {self.distance or f'not measured, {self.unmeasured}'}"]

    def as_json(self) -> dict[str, Any]:
        one, far = self.exported, self.distance
        lost = [{"field": x.field, "value": x.value, "instead": x.instead} for x in one.lost]
        measured = far and {"value": far.value, "worst": far.worst, "tensor": far.tensor, "what": far.what}
        return {"text": one.text, "lost": lost, "same_code": one.same_code, "distance": measured, "unmeasured": self.unmeasured}


def export(path: Path, to: Consumer, *, width: int | None = None, other_implementation: bool = False) -> Handed:
    """width: of the model that is to be trained; the card's own by default.

    Raises ValueError for a card that may not be used and for an optimizer that the consumer has no name for; OtherImplementation where
    its own goes more than LIMIT of the way from ours, or could not be compared, unless that is asked for.
    """
    card, problems = read(path)
    problems += weak(card)
    if problems:
        raise ValueError(f"{path} may not be used: {problems[0]}")
    recipe = recipe_of(card, (path.parent,))
    kinds = {name: role.kind for name, role in recipe.problem.roles.items()}
    card = at_width(card, kinds, recipe.problem.model.width if width is None else width)
    exported = hf(card, kinds) if to == "hf" else torchtitan(card, kinds, str(path))
    if exported.same_code:
        return Handed(exported, None)
    try:
        handed = Handed(exported, measured(card, recipe, exported, kinds))
    except ValueError as error:
        handed = Handed(exported, None, str(error))
    if not other_implementation and (handed.distance is None or not handed.distance.value <= LIMIT):
        what = str(handed.distance) if handed.distance else f"it was not compared with ours: {handed.unmeasured}"
        raise OtherImplementation(
            f"{what}; more than {LIMIT:g} is another optimizer: use sandbox.handoff.optimizer, or add --other-implementation"
        )
    return handed


def at_width(card: Card, kinds: dict[str, str], width: int) -> Card:
    """The card with the learning rate that it predicts for a width, and the factors of its parametrisation there.

    Raises ValueError, with the words "no rule", where the card says nothing about other widths.
    """
    own, optimizer = card.model["width"], card.optimizer
    if width == own:
        return card
    if not 1 <= width <= WIDEST:
        raise ValueError(f"a width must be between 1 and {WIDEST:,}, got {width:,}")
    exponents = card.parametrisation.exponents if card.parametrisation else {}
    lr = predicted_lr(card, width)
    parts = optimizer.partition or {name: TensorPart(framed=False, n_blocks=None, dim=None) for name in kinds}
    factor = {kind: (width / own) ** exponents.get(kind, 0.0) for kind in kinds.values()}
    changes = {
        "rule": optimizer.rule | {"lr": lr},
        "frame": frame_at(card, width),
        "elsewhere": optimizer.elsewhere and optimizer.elsewhere | {"lr": optimizer.elsewhere["lr"] * lr / optimizer.rule["lr"]},
        "partition": {name: part.model_copy(update={"lr_factor": part.lr_factor * factor[kinds[name]]}) for name, part in parts.items()},
    }
    return card.model_copy(update={"optimizer": optimizer.model_copy(update=changes)})


def measured(card: Card, recipe: Recipe, exported: Exported, kinds: dict[str, str]) -> Distance:
    """Raises ValueError where the comparison cannot be made here."""
    if exported.consumer == "hf":
        return of_trainer(card, recipe, exported.arguments or {})
    name = card.optimizer.rule["type"]
    return of_torch(card, recipe, lambda model: native_optimizer(card, kinds, model), f"torch.optim.{name}, which torchtitan takes,")
