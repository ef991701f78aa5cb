"""The `sandbox card` commands, and the options that other commands share with them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

card = typer.Typer(no_args_is_help=True, help="Settings cards: what holds, for a run at full scale.")

CardPath = Annotated[Path, typer.Argument(metavar="CARD", help="a settings card, JSON")]
Root = Annotated[Path | None, typer.Option(help="folder with pyproject.toml and experiments/; default: the nearest one upward")]
Names = Annotated[list[str], typer.Argument(metavar="CLAIM... | NAME", help="ids of claims, or the name of a card", show_default=False)]
Unvalidated = Annotated[bool, typer.Option("--unvalidated", help="weak claims too; the card says UNVALIDATED of each")]
Json = Annotated[bool, typer.Option("--json", help="print a list of objects instead of a table")]


@card.command("show")
def card_show(path: CardPath, as_json: Json = False) -> None:
    """What a card says, for a reader.

    Example: sandbox card show results/cards/NAME.json
    """
    from sandbox.handoff.reading import read
    from sandbox.handoff.showing import show

    if as_json:
        found, problems = read(path)
        print_json([{"id": str(path), "status": "changed" if problems else "sealed", "problems": problems} | found.as_json()])
    else:
        typer.echo(show(path))


@card.command("create")
def card_create(
    names: Names,
    unvalidated: Unvalidated = False,
    to: Annotated[Path | None, typer.Option("--out", help="file of the card; default: it is printed")] = None,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """A card from what is stored or recorded of its claims; refused where one of them is weak.

    Example: sandbox card create adalomo --out adalomo.json
    """
    from sandbox.handoff.creating import create_named
    from sandbox.handoff.evidence import confessions
    from sandbox.handoff.reading import as_text, write

    name, made = create_named(names, unvalidated=unvalidated, root=root)
    if to is not None:
        write(made, to)
    if as_json:
        status = "unvalidated" if confessions(made) else "created"
        print_json([{"id": name, "status": status, "file": str(to) if to else None} | made.as_json()])
    else:
        typer.echo(f"wrote {to}" if to else as_text(made), nl=to is not None)


@card.command("diff")
def card_diff(first: CardPath, second: CardPath, as_json: Json = False) -> None:
    """Where two cards differ, field by field; exit code 1 where they do.

    Example: sandbox card diff a.json b.json
    """
    from sandbox.handoff.showing import differences

    found = differences(first, second)
    if as_json:
        print_json([{"id": field, "status": "different", "first": one, "second": two} for field, one, two in found])
    else:
        typer.echo("\n".join(f"{field}: {one} -> {two}" for field, one, two in found) or "the cards say the same")
    raise typer.Exit(1 if found else 0)


@card.command("verify")
def card_verify(path: CardPath, root: Root = None, as_json: Json = False) -> None:
    """Whether a card still says the truth here: seal, verdicts, text, and its first ten losses.

    Example: sandbox card verify results/cards/NAME.json
    """
    from sandbox.handoff.evidence import confessions
    from sandbox.handoff.reading import read, require_file
    from sandbox.handoff.verify import verify

    require_file(path)
    problems = verify(path, root)
    own = [] if problems else confessions(read(path)[0])
    if as_json:
        print_json([{"id": str(path), "status": "refused" if problems else "verified", "problems": problems, "unvalidated": own}])
    else:
        typer.echo("\n".join(f"{path}: {line}" for line in problems or ["verified", *own]))
    raise typer.Exit(1 if problems else 0)


@card.command("export")
def card_export(
    path: Annotated[Path | None, typer.Argument(metavar="CARD", help="a settings card, JSON", show_default=False)] = None,
    to: Annotated[Literal["hf", "torchtitan"], typer.Option(help="hf: TrainingArguments, YAML; torchtitan: Python")] = "hf",
    width: Annotated[int | None, typer.Option(help="of the model to be trained; default: the card's own")] = None,
    other: Annotated[bool, typer.Option("--other-implementation", help="also where theirs is not ours, beyond 1e-3")] = False,
    to_file: Annotated[Path | None, typer.Option("--out", help="file; default: it is printed")] = None,
    table: Annotated[bool, typer.Option("--table", help="what LLaMA-Factory, axolotl, litgpt and CoLLiE can express")] = False,
    as_json: Json = False,
) -> None:
    """A card in the names of another trainer, with what is lost and how far its optimizer goes from ours.

    Example: sandbox card export results/cards/NAME.json --to torchtitan
    """
    if table:
        from sandbox.handoff.export import others

        return print_json(others.rows()) if as_json else typer.echo(others.table())
    if path is None:
        raise ValueError("an export needs a CARD, or --table for what four more trainers can say")
    from sandbox.handoff.export.exporting import OtherImplementation, export
    from sandbox.handoff.reading import put

    try:
        handed = export(path, to, width=width, other_implementation=other)
    except OtherImplementation as refusal:
        typer.echo(f"{path}: {refusal}", err=True)
        raise typer.Exit(1) from refusal
    if to_file is not None:
        put(to_file, handed.exported.text)
    if as_json:
        return print_json([{"id": str(path), "status": "exported", "file": str(to_file) if to_file else None} | handed.as_json()])
    typer.echo("\n".join(handed.remarks()), err=True)
    typer.echo(f"wrote {to_file}" if to_file else handed.exported.text, nl=to_file is not None)


@card.command("schema")
def card_schema(as_json: Json = False) -> None:
    """The format of a card as a JSON schema, which is JSON with and without --json.

    Example: sandbox card schema > card.schema.json
    """
    from sandbox.handoff.schema import SCHEMA, json_schema

    typer.echo(json.dumps([{"id": SCHEMA, "status": "schema"} | json_schema()] if as_json else json_schema(), indent=2))


def print_json(objects: Sequence[dict[str, Any]]) -> None:
    """A list of objects on stdout, strict JSON."""
    typer.echo(json.dumps(objects, indent=1, allow_nan=False))
