"""The `sandbox tune` command: how the best learning rate of an optimizer moves with the width of a transformer on real text."""

import ast
import math
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox.cli_card import Json, print_json

Optimizer = Annotated[
    str, typer.Option(help="adamw, adam-mini, adalomo, came, galore, rso, gwt, or package.module:Class of a torch.optim.Optimizer")
]
Options = Annotated[list[str] | None, typer.Option("--option", help="name=value for such a class", show_default=False)]
Standard = Annotated[bool, typer.Option("--standard", help="one rate for all tensors, initial weights 1 / fan-in everywhere")]


def tune(
    optimizer: Optimizer = "adamw",
    widths: Annotated[str, typer.Option(help="multiples of 16, at least two")] = "32,64,128",
    lr: Annotated[float, typer.Option(help="the middle of the first grid: 5 rates a factor of 2 apart")] = 0.01,
    seeds: Annotated[int, typer.Option(help="paired ones, at least 2")] = 3,
    steps: Annotated[int, typer.Option(help="of every run")] = 200,
    batch: Annotated[int, typer.Option(help="windows of 32 tokens a step")] = 8,
    layers: Annotated[int, typer.Option(help="of the Llama-like model")] = 2,
    weight_decay: Annotated[float, typer.Option(help="of one of the seven")] = 0.0,
    standard: Standard = False,
    option: Options = None,
    text: Annotated[str, typer.Option(help="kjv, a text file, or a folder of .txt files")] = "kjv",
    vocab: Annotated[int, typer.Option(help="number of byte pairs learned from it")] = 512,
    at: Annotated[int | None, typer.Option(help="predict the best rate for this width too")] = None,
    workers: Annotated[int | None, typer.Option(help="worker processes; 0: in this process; default: one per core")] = None,
    out: Annotated[Path, typer.Option(help="folder of the ledger that keeps every run")] = Path("results"),
    as_json: Json = False,
) -> None:
    """Sweep the learning rate at several widths, and fit how the best one moves.

    Grids extend themselves while the best rate of a seed lies at an end. Every run is kept in OUT/ledger.sqlite: the same command goes
    on where an earlier one was stopped.

    Example: sandbox tune --optimizer adalomo --lr 0.1 --widths 32,64,128,256 --at 512
    """
    from sandbox.handoff.parametrisation import Name
    from sandbox.handoff.sweep import Swept
    from sandbox.handoff.transfer_runs import BASE_WIDTH
    from sandbox.handoff.tune import Tune, Tuning, checked
    from sandbox.ledger.execute import pool
    from sandbox.ledger.store import Store
    from sandbox.outputs import require_writable
    from sandbox.report.terminal import progress_bar

    points, count = numbers(widths), os.cpu_count() or 1 if workers is None else workers
    require_rates(lr, at)
    name: Name = "standard" if standard else "mu"
    asked = Tuning(
        optimizer, name, layers=layers, steps=steps, batch=batch, weight_decay=weight_decay, vocab=vocab, text=text, options=given(option)
    )
    setting = checked(asked, points)
    plan = Swept(setting, points, tuple(range(seeds)), centre=lr, cap=math.log(vocab), base=BASE_WIDTH)
    require_writable(out)
    try:
        with Store(out / "ledger.sqlite") as store, pool(count) as executor, progress_bar() as progress:
            sweep = Tune(plan, store)
            sweep.run(executor, max(1, count), progress)
            found = sweep.found(at)
    except KeyboardInterrupt:
        typer.echo("sandbox: interrupted; every finished run is stored, the same command goes on from there", err=True)
        raise typer.Exit(130) from None  # what shells expect after Ctrl-C
    if as_json:
        return print_json([found])
    typer.echo("\n".join(lines_of(found)))


def numbers(text: str) -> tuple[int, ...]:
    """Raises ValueError for anything but whole numbers between commas."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--widths must be whole numbers between commas, such as 32,64,128, got {text!r}") from None


def require_rates(lr: float, at: int | None) -> None:
    if not (lr > 0 and math.isfinite(lr)):
        raise ValueError(f"--lr must be a finite number > 0, got {lr}")
    if at is not None and at < 1:
        raise ValueError(f"--at must be a width >= 1, got {at}")


def given(options: list[str] | None) -> tuple[tuple[str, Any], ...]:
    """name=value as Python reads the value, a word as a word. Raises ValueError for an option without `=`, and for the rate."""
    found = {}
    for one in options or []:
        name, equals, value = one.partition("=")
        if not equals or not name.isidentifier() or name == "lr":
            raise ValueError(f"--option must be name=value, and the rate is swept, not given; got {one!r}")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return tuple(sorted(found.items()))


def lines_of(found: dict[str, Any]) -> list[str]:
    """The fit for a reader."""
    rows = [f"  width {width:>5}: best rate {_rate(best)}" for width, best in found["best"].items()]
    moves = f"d log best / d log width = {found['value']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"
    head = f"{found['id']}: {moves}, 95 % over {found['seeds']} seeds"
    rule = f"  rule: lr(n) = {found['base_value']:.3g} (n / {found['base_width']})^{found['value']:.3f}"
    ahead = found["predicted"]
    return [
        head,
        *rows,
        rule,
        *([f"  width {ahead['width']:>5}: predicted {_rate(ahead)}; test it before you rely on it"] if ahead else []),
    ]


def _rate(best: dict[str, float]) -> str:
    return f"{best['value']:.3g} [{best['low']:.3g}, {best['high']:.3g}]"
