"""The `sandbox` command. Everything heavy is imported inside the command that needs it, so that `--help` is quick.

Exit codes: 0, or 1 where a run differs from what the record says (or a proof or a card fails), or 2 for a wrong call.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

INTERRUPTED = 130
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Checks what papers claim about memory-efficient training, by proof and by measurement, and hands on what holds.",
)
card = typer.Typer(no_args_is_help=True, help="Settings cards: what holds, for a run at full scale.")
app.add_typer(card, name="card")


class Family(StrEnum):
    gpt = "gpt"
    llama = "llama"


class TierName(StrEnum):
    quick = "quick"
    full = "full"
    study = "study"


Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="claim ids, or systems (`rso`); none: all", show_default=False)]
ProofIds = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="proofs or bounds; none: all", show_default=False)]
Root = Annotated[Path | None, typer.Option(help="folder with pyproject.toml and experiments/; default: the nearest one upward")]
Out = Annotated[Path | None, typer.Option(help="where results are kept; default: ROOT/results")]
Json = Annotated[bool, typer.Option("--json", help="print a list of objects instead of a table")]
Workers = Annotated[int | None, typer.Option(help="worker processes, one thread each; 0: in this process; default: one per core")]
Fresh = Annotated[bool, typer.Option("--fresh", help="run again what is stored already")]
Record = Annotated[bool, typer.Option("--record", help="export the rows of full and study claims to experiments/records/")]
TierOption = Annotated[TierName, typer.Option(help="which claims to run; slower ones show their recorded rows")]


@app.command("list")
def list_(names: Ids = None, root: Root = None, out: Out = None, as_json: Json = False) -> None:
    """Claims with source, cost and last verdict; runs nothing.

    Example: sandbox list rso
    """
    from sandbox.ledger.bench import open_bench
    from sandbox.ledger.collect import choose
    from sandbox.report.terminal import console, listing

    bench = open_bench(root, out)
    wanted = {claim.id for claim in choose(bench.experiments, names or [])}
    results = [result for result in bench.look() if result.claim.id in wanted]
    if as_json:
        _print_json([result.as_json() | _facts(result.claim, bench.file_of(result.claim)) for result in results])
    else:
        screen = console()
        screen.print(listing(results, screen.width))


@app.command()
def check(
    names: Ids = None,
    tier: TierOption = TierName.quick,
    workers: Workers = None,
    fresh: Fresh = False,
    record: Record = False,
    out: Out = None,
    as_json: Json = False,
    root: Root = None,
) -> None:
    """Run what is missing, judge every claim, write the report and the settings cards.

    Example: sandbox check rso.exact-rate --workers 2
    """
    from sandbox.ledger.bench import open_bench, order
    from sandbox.report.terminal import console, show

    bench = open_bench(root, out)
    asked = order(bench, names or [], tier.value, workers=os.cpu_count() or 1 if workers is None else workers, fresh=fresh)
    with _progress() as progress:
        results = bench.run(asked, progress)
    chosen = [result for result in results if result.claim in asked.chosen]
    slow = [r.claim for r in chosen if r.claim.tier != "quick" and r.origin == "measured"]
    written = [*(bench.record(slow) if record else []), *_write(results, bench.out, bench.root)]
    if as_json:
        _print_json([result.as_json() for result in chosen])
    else:
        show(chosen, console())
        typer.echo("\n".join(f"wrote {path}" for path in written))
    raise typer.Exit(0 if all(result.agrees for result in chosen) else 1)


@app.command()
def prove(names: ProofIds = None, as_json: Json = False, root: Root = None) -> None:
    """Machine-check the theorems: run every step of the proof files.

    Example: sandbox prove rso_exact_subproblem
    """
    from sandbox.ledger import proofs
    from sandbox.ledger.collect import find_root
    from sandbox.report.terminal import console, proof_table

    folder = root.resolve() if root else find_root(Path.cwd())
    checked = proofs.prove(folder, proofs.proofs(folder, names or []))
    if as_json:
        _print_json([one.as_json() for one in checked])
    else:
        console().print(proof_table(checked))
    for one in checked:
        for step, message in one.failed.items():
            typer.echo(f"{one.proof.file}: {step}: {message}", err=True)
    raise typer.Exit(0 if all(one.status == "proved" for one in checked) else 1)


@app.command()
def report(out: Out = None, root: Root = None) -> None:
    """Write the web page and the settings cards from what is stored and recorded; runs nothing.

    Example: sandbox report --out results
    """
    from sandbox.ledger.bench import open_bench

    bench = open_bench(root, out)
    for path in _write(bench.look(), bench.out, bench.root):
        typer.echo(f"wrote {path}")


@app.command()
def hessian(
    family: Annotated[Family, typer.Option(help="which tiny transformer")] = Family.llama,
    width: Annotated[int, typer.Option(help="width of the model, at least 8")] = 16,
    steps: Annotated[int, typer.Option(help="steps of AdamW before the Hessian is taken; 0: at the start")] = 0,
    seed: Annotated[int, typer.Option(help="draws weights, batches and the random partition")] = 0,
    out: Annotated[Path, typer.Option(help="folder for hessian.svg")] = Path("results"),
    as_json: Json = False,
) -> None:
    """Exact Hessian of one transformer block: mass inside Adam-mini's blocks against random ones, and a heat map.

    Example: sandbox hessian --family gpt --width 16
    """
    from sandbox.curvature import structure
    from sandbox.report import figures
    from sandbox.report.terminal import console, mass_table

    matrix, partitions = _hessian_of(family, width, steps, seed)
    rows = structure.within(matrix, partitions)
    picture = structure.heat_map(matrix)
    path = out / "hessian.svg"
    out.mkdir(parents=True, exist_ok=True)
    path.write_bytes(figures.heat_map(picture.values, [round(edge) for edge in picture.edges], f"{family} block, |H|"))
    if as_json:
        return _print_json([_mass_json(asdict(row)) for row in rows])
    console().print(mass_table(rows))
    typer.echo(f"wrote {path}")


def _hessian_of(family: str, width: int, steps: int, seed: int) -> tuple[Any, dict[str, Any]]:
    """The Hessian in the tensors of a one-block model on real text (embedding and head left out), and two partitions of it."""
    import torch

    from sandbox.curvature.hessian import dense_hessian
    from sandbox.models import gpt, llama, partitions
    from sandbox.models.language import LanguageProblem, fitted
    from sandbox.models.tokenizers import Characters
    from sandbox.optimizers.adamw import AdamW
    from sandbox.run import run

    torch.set_num_threads(1)
    config = {"gpt": gpt.GPTConfig, "llama": llama.LlamaConfig}[family]
    model = config(vocab=2, width=width, layers=1, heads=4, context=16)
    problem = fitted(LanguageProblem(model, tokenizer=Characters(), batch_size=8, dtype="float64"))
    final = run(problem, AdamW(lr=3e-3), steps=steps, seed=seed).final if steps else problem.start(seed)
    params = {name: torch.as_tensor(tensor) for name, tensor in final.items()}
    names = [name for name, role in problem.roles.items() if role.kind not in ("embedding", "position", "head")]
    cuts = partitions.from_blocks(partitions.adam_mini(problem.roles, problem.shapes), problem.shapes)
    matrix = dense_hessian(problem, params, problem.batch(seed, steps), names=names)
    return matrix, {"adam-mini": cuts, "random": partitions.random_like(cuts, seed)}


def _mass_json(row: dict[str, Any]) -> dict[str, Any]:
    """One block has no excess over chance: null."""
    return {"id": f"{row['name']}/{row['partition']}", "status": "measured"} | {k: None if v != v else v for k, v in row.items()}


def _write(results: Sequence[Any], out: Path, root: Path) -> list[Path]:
    from sandbox.report.page import write_page

    try:  # TODO: plain import once the module has landed
        from sandbox.handoff.card import write_cards
    except ModuleNotFoundError as error:
        typer.echo(f"no cards yet: {error}", err=True)
        return [write_page(results, out, root)]
    return [write_page(results, out, root), *write_cards(results, out, root)]


def _facts(claim: Any, file: str) -> dict[str, Any]:
    names = ("source", "known", "dossier", "kind", "tier", "cost_s")
    return {name: getattr(claim, name) for name in names} | {"file": f"experiments/{file}"}


def _print_json(objects: Sequence[dict[str, Any]]) -> None:
    typer.echo(json.dumps(objects, indent=1, allow_nan=False))


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr while it is a terminal; silence otherwise."""
    if not sys.stderr.isatty():
        yield lambda done, total, text: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("rows"), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda done, total, text: bar.update(task, completed=done, total=total, description=text)


def main() -> None:
    """Entry point: a ValueError of ours becomes one sentence on stderr and exit code 2."""
    try:
        app()
    except ValueError as error:
        typer.echo(f"sandbox: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("sandbox: interrupted; every finished row is stored, the same command goes on from there", err=True)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
