"""The `sandbox card` commands, and the options that other commands share with them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

card = typer.Typer(no_args_is_help=True, help="Settings cards: what holds, for a run at full scale.")

CardPath = Annotated[Path, typer.Argument(metavar="CARD", help="a settings card, JSON")]
Root = Annotated[Path | None, typer.Option(help="folder with pyproject.toml and experiments/; default: the nearest one upward")]
Json = Annotated[bool, typer.Option("--json", help="print a list of objects instead of a table")]


@card.command("show")
def card_show(path: CardPath, as_json: Json = False) -> None:
    """What a card says, for a reader.

    Example: sandbox card show results/cards/NAME.json
    """
    from sandbox.handoff.reading import read, show

    if as_json:
        found, problems = read(path)
        print_json([{"id": str(path), "status": "changed" if problems else "sealed", "problems": problems} | found.as_json()])
    else:
        typer.echo(show(path))


@card.command("verify")
def card_verify(path: CardPath, root: Root = None, as_json: Json = False) -> None:
    """Whether a card still says the truth here: seal, verdicts, text, and its first ten losses.

    Example: sandbox card verify results/cards/NAME.json
    """
    from sandbox.handoff.reading import require_file
    from sandbox.handoff.verify import verify

    require_file(path)
    problems = verify(path, root)
    if as_json:
        print_json([{"id": str(path), "status": "refused" if problems else "verified", "problems": problems}])
    else:
        typer.echo("\n".join(f"{path}: {problem}" for problem in problems) or f"{path}: verified")
    raise typer.Exit(1 if problems else 0)


@card.command("schema")
def card_schema() -> None:
    """The format of a card as a JSON schema.

    Example: sandbox card schema > card.schema.json
    """
    from sandbox.handoff.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def print_json(objects: Sequence[dict[str, Any]]) -> None:
    """A list of objects on stdout, strict JSON."""
    typer.echo(json.dumps(objects, indent=1, allow_nan=False))
