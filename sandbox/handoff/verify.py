"""Does a card still say the truth, here? Seal, format, verdicts, text, and ten steps on this machine."""

from pathlib import Path

from sandbox.handoff.canary import difference, first_losses
from sandbox.handoff.evidence import STRONG, confessed, confessions, weakness
from sandbox.handoff.reading import read
from sandbox.handoff.recipe import recipe_of
from sandbox.handoff.schema import Card
from sandbox.models.text import corpus
from sandbox.verdict import Outcome


def verify(path: Path, root: Path | None = None) -> list[str]:
    """Everything that is wrong with a card, a sentence each; [] where nothing is.

    root: a folder where a relative path of the card's text is looked for, beside the working folder and the card's
    own. Nothing is run where the seal, the verdicts or the text are wrong already.
    """
    try:
        card, problems = read(path)
    except ValueError as error:
        return [str(error)]
    problems += weak(card)
    folders = (path.parent, *((root,) if root else ()))
    try:
        recipe = recipe_of(card, folders)
        problems += text_problems(card, recipe.problem.text)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        return problems
    try:
        found = difference(card.canary, first_losses(recipe, card.canary.seed))
    except ValueError as error:
        return [f"the card's first ten steps cannot be made: {error}"]
    return [found] if found else []


def weak(card: Card) -> list[str]:
    """The first verdict that is no support and of which the card does not say so itself, or the lack of any."""
    if not card.evidence and not confessions(card):
        return ["a card needs at least one verdict behind it, and this one has none"]
    weak_ones = [part for part in card.evidence if Outcome[part.outcome] not in STRONG and not confessed(part.claim, card.unvalidated)]
    if not weak_ones:
        return []
    first = weak_ones[0]
    return [f"a card needs verdicts that hold; {weakness(first.claim, Outcome[first.outcome])}"]


def text_problems(card: Card, text: str) -> list[str]:
    """Whether the text here is the text of the card. Raises ValueError where it is missing or no text."""
    found = corpus(text).digest
    if found == card.data.sha256:
        return []
    said = card.data.sha256
    return [f"the text {text!r} has sha256 {found[:16]}..., but the card was made with {said[:16]}...: it is another text"]
