"""The `sandbox preflight` command: will it fit, and what does it cost, before a GPU is paid for."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sandbox.cli_card import Json, print_json

CardPath = Annotated[Path | None, typer.Argument(metavar="[CARD]", help="a settings card; none: --optimizer or --all", show_default=False)]
Model = Annotated[str, typer.Option(help="a size (llama-7b, gpt2-xl, ...), or a configuration: FILE.json or its folder")]
Gpu = Annotated[str, typer.Option(help="memory of one card (80GB) or its name (h100)")]
World = Annotated[int, typer.Option(help="ranks, one card each; FSDP2 shards over them")]
Batch = Annotated[int | None, typer.Option(help="sequences of all ranks in a step; default: one a rank")]
Context = Annotated[int | None, typer.Option(help="tokens of a sequence; default: the model's longest")]
Optimizer = Annotated[str | None, typer.Option(help="a system by name; a wrong name lists them", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="every system of the field, side by side")]
Rank = Annotated[int | None, typer.Option(help="of projections and layers; default: a quarter of the width, or what the card says")]
Dtype = Literal["float32", "bfloat16"]
Weights = Annotated[Dtype, typer.Option(help="of weights, gradients and states on a rank")]
Compute = Annotated[Dtype, typer.Option(help="of forward and backward")]
Recompute = Annotated[Literal["off", "blocks"], typer.Option(help="blocks: activation checkpointing, block by block")]
Layers = Annotated[Literal["few", "all"], typer.Option(help="blocks to run on fake tensors; few: 5, the others told from them")]


def preflight(
    card: CardPath = None,
    model: Model = "llama-7b",
    gpu: Gpu = "80GB",
    world: World = 1,
    batch: Batch = None,
    context: Context = None,
    optimizer: Optimizer = None,
    all_: All = False,
    rank: Rank = None,
    weights: Weights = "float32",
    compute: Compute = "bfloat16",
    recompute: Recompute = "off",
    layers: Layers = "few",
    as_json: Json = False,
) -> None:
    """Will it fit: memory of one rank by category, the largest batch, bytes between ranks and over the bus, the least time.

    Exit code 0: it fits (with --all: at least one system does); 1: it does not.

    Example: sandbox preflight --optimizer adalomo --model llama-7b --gpu 80GB --world 8 --batch 8 --context 2048
    """
    if sum((card is not None, optimizer is not None, all_)) != 1:
        raise ValueError("say what trains, once: a settings card, --optimizer NAME, or --all")
    from sandbox.handoff.preflight.asked import Ask
    from sandbox.handoff.preflight.hardware import card_of
    from sandbox.handoff.preflight.preflight import Flight, least_words, of_card
    from sandbox.handoff.preflight.systems import NAMES, require_name, system
    from sandbox.handoff.preflight.targets import runnable, target_of

    if optimizer is not None:
        require_name(optimizer)
    target = runnable(target_of(model, context))
    ask = Ask(target, card_of(gpu), world, world if batch is None else batch, context, weights, compute, recompute, layers)
    flight = Flight(ask)
    if all_:
        found = list(flight.each(NAMES, rank, lambda name: typer.echo(f"{name} ...", err=True)))
    else:
        found = [flight.of(of_card(card, flight.model, ask, rank) if card else system(optimizer or "", flight.model, rank))]
    fit = [getattr(one, "fits", False) for one in found]
    if as_json:
        print_json([one.as_json() | _asked(ask, flight) for one in found])
    else:
        _tell(found, flight)
    for one in found if not all_ else []:
        if words := least_words(one, ask):
            typer.echo(f"sandbox: {words}", err=True)
    raise typer.Exit(0 if any(fit) else 1)


def _asked(ask: Any, flight: Any) -> dict[str, Any]:
    return {
        "model": ask.target.name,
        "parameters": flight.parameters,
        "memory": ask.card.memory,
        "world": ask.world,
        "batch": ask.batch,
        "context": ask.tokens,
        "weights": ask.weights,
        "compute": ask.compute,
        "recompute": ask.recompute,
        "assumptions": flight.notes(),
    }


def _tell(found: list[Any], flight: Any) -> None:
    from sandbox.handoff.preflight.told import details, headline, table

    lines = details(found[0], flight.ask) if len(found) == 1 else table(found)
    typer.echo("\n".join([*headline(flight), "", *lines, "", *(f"  {line}" for line in flight.notes())]))
