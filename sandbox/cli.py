"""The `sandbox` command. Everything heavy is imported inside the command that needs it, so that `--help` is quick.

Exit codes: 0, or 1 where a run differs from what the record says (or a proof or a card fails), or 2 for a wrong call.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sandbox.cli_card import Json, Root, card, print_json
from sandbox.cli_preflight import preflight
from sandbox.cli_train import train
from sandbox.cli_tune import tune

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Checks what papers claim about memory-efficient training, by proof and by measurement, and hands on what holds.",
)
app.add_typer(card, name="card")
app.command()(train)
app.command()(tune)
app.command()(preflight)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="claim ids, or systems (`rso`); none: all", show_default=False)]
ProofIds = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="proofs or bounds; none: all", show_default=False)]
Out = Annotated[Path | None, typer.Option(help="where results are kept; default: ROOT/results")]
Workers = Annotated[int | None, typer.Option(help="worker processes, one thread each; 0: in this process; default: one per core")]
Coq = Annotated[Path | None, typer.Option("--coq", help="write every certificate as a Coq file into this folder, and let coqc check it")]
Fresh = Annotated[bool, typer.Option("--fresh", help="run again what is stored already")]
GoOn = Annotated[bool, typer.Option("--go-on", help="take recorded rows of any code version as run, and run the rest")]
Record = Annotated[bool, typer.Option("--record", help="export the rows of full and study claims to experiments/records/")]
TierOption = Annotated[Literal["quick", "full", "study"], typer.Option(help="which claims to run; slower ones show their recorded rows")]


@app.command("list")
def list_(names: Ids = None, root: Root = None, out: Out = None, as_json: Json = False) -> None:
    """Claims with source, cost and last verdict; runs nothing.

    Example: sandbox list rso
    """
    _one_thread()
    from sandbox.ledger.bench import open_bench
    from sandbox.ledger.collect import choose
    from sandbox.report.terminal import console, listing

    bench = open_bench(root, out)
    wanted = {claim.id for claim in choose(bench.experiments, names or [])}
    results = [result for result in bench.look() if result.claim.id in wanted]
    if as_json:
        print_json([result.as_json() for result in results])
    else:
        console().print(listing(results, console().width))


@app.command()
def check(
    names: Ids = None,
    tier: TierOption = "quick",
    workers: Workers = None,
    fresh: Fresh = False,
    go_on: GoOn = False,
    record: Record = False,
    out: Out = None,
    as_json: Json = False,
    root: Root = None,
) -> None:
    """Run what is missing, judge every claim, write the report and the settings cards.

    Example: sandbox check rso.exact-rate --workers 2
    """
    _one_thread()
    from sandbox.ledger.bench import open_bench, order
    from sandbox.report.terminal import console, progress_bar, show

    bench = open_bench(root, out)
    count = os.cpu_count() or 1 if workers is None else workers
    asked = order(bench, names or [], tier, workers=count, fresh=fresh, record=record, go_on=go_on)
    try:
        with progress_bar() as progress:
            results = bench.run(asked, progress)
    except KeyboardInterrupt:
        typer.echo("sandbox: interrupted; every finished row is stored, the same command goes on from there", err=True)
        raise typer.Exit(130) from None  # what shells expect after Ctrl-C
    chosen = [result for result in results if result.claim.id in asked.ids]
    slow = [r.claim for r in chosen if r.claim.tier != "quick" and r.origin == "measured"]
    written = [*(bench.record(slow, go_on=go_on) if record else []), *_write(results, bench.out, bench.root)]
    if as_json:
        print_json([result.as_json() for result in chosen])
    else:
        show(chosen, console())
        typer.echo("\n".join(f"wrote {path}" for path in written))
    raise typer.Exit(0 if all(result.agrees for result in chosen) else 1)


@app.command()
def prove(names: ProofIds = None, coq: Coq = None, as_json: Json = False, root: Root = None) -> None:
    """Machine-check the theorems: run every step of the proof files.

    Example: sandbox prove rso_exact_subproblem --coq results/coq
    """
    from sandbox.ledger import proofs, second_kernel
    from sandbox.ledger.collect import find_root
    from sandbox.report.terminal import console, proof_table

    folder = root.resolve() if root else find_root(Path.cwd())
    chosen = proofs.proofs(folder, names or [])
    checked = proofs.prove(folder, chosen)
    second = second_kernel.asked(folder, chosen, coq) if coq else ()
    if as_json:
        told = {one.id: one.status for one in second}
        print_json([one.as_json() | ({"coq": told.get(one.proof.id)} if coq else {}) for one in checked])
    else:
        console().print(proof_table(checked))
        typer.echo("\n".join(map(str, second)), nl=bool(second))
    raise typer.Exit(0 if all(one.status == "proved" for one in checked) and all(one.status != "failed" for one in second) else 1)


@app.command()
def report(out: Out = None, as_json: Json = False, root: Root = None) -> None:
    """Write the web page and the settings cards from what is stored and recorded; runs nothing.

    Example: sandbox report --out results
    """
    _one_thread()
    from sandbox.ledger.bench import open_bench

    bench = open_bench(root, out)
    bench.require_writable()
    written = _write(bench.look(), bench.out, bench.root)
    if as_json:
        print_json([{"id": str(path), "status": "written"} for path in written])
    else:
        typer.echo("\n".join(f"wrote {path}" for path in written))


@app.command()
def hessian(
    target: Annotated[str, typer.Argument(help="gpt, llama, module:function, or the folder of a Hugging Face causal LM")] = "llama",
    tensors: Annotated[list[str] | None, typer.Option(help="names or patterns (*); none: all matrices", show_default=False)] = None,
    width: Annotated[int, typer.Option(help="of a built-in model, at least 8")] = 16,
    steps: Annotated[int, typer.Option(help="of AdamW on a built-in model before the Hessian is taken; 0: at the start")] = 0,
    at: Annotated[str, typer.Option(help="shares of those steps, e.g. 0,0.01,0.5,1")] = "1",
    text: Annotated[str, typer.Option(help="kjv, a text file, or a folder of .txt files")] = "kjv",
    context: Annotated[int, typer.Option(help="tokens of a window, for a folder")] = 32,
    windows: Annotated[int, typer.Option(help="number of windows, for a folder")] = 8,
    exact: Annotated[int, typer.Option(help="entries of a tensor up to which its Hessian is computed whole")] = 2048,
    within: Annotated[float, typer.Option(help="of larger ones: half of the 95 % interval of a mass, relative to it")] = 0.05,
    seed: Annotated[int, typer.Option(help="draws weights, batches, probes and the random partition")] = 0,
    out: Annotated[Path, typer.Option(help="folder for hessian.json and the pictures")] = Path("results/hessian"),
    fresh: Fresh = False,
    as_json: Json = False,
) -> None:
    """Block structure of a model's Hessian, tensor by tensor: mass inside blocks against chance, spectra, a heat map.

    Goes on where an earlier call with the same OUT was stopped.

    Example: sandbox hessian gpt --steps 200 --at 0,0.5,1
    """
    from sandbox.cli_hessian import Kept, hessian_command
    from sandbox.curvature.survey import Cost
    from sandbox.hessian_targets import Choice, targets_of
    from sandbox.outputs import require_writable
    from sandbox.report.terminal import console, mass_table, progress_bar

    require_writable(out)
    cost, kept = Cost(exact=exact, within=within), Kept(out / "hessian.json", fresh=fresh)
    try:
        targets = targets_of(target, Choice(width, steps, at, text, context, windows, seed))
        for note in (one.note for one in targets if one.note):
            typer.echo(note, err=True)
        with progress_bar() as say:
            rows, files = hessian_command(targets, tensors or [], kept, cost=cost, seed=seed, say=say)
    except KeyboardInterrupt:
        typer.echo(f"sandbox: {kept.stopped()}", err=True)
        raise typer.Exit(130) from None  # what shells expect after Ctrl-C
    if as_json:
        return print_json(rows)
    console().print(mass_table(rows))
    typer.echo("\n".join(f"{what} {file}" for file, what in files.items()))


def _write(results: Sequence[Any], out: Path, root: Path) -> list[Path]:
    from sandbox.handoff.card import write_cards
    from sandbox.report.page import write_page

    return [write_page(results, out, root), *write_cards(results, out, root)]


def _one_thread() -> None:
    """For limits, which are worked out here on small tensors: two threads take twice as long. Before torch is imported."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def main() -> None:
    """Entry point: a ValueError of ours, or a file that the system refuses, is one sentence on stderr and exit code 2."""
    try:
        app()
    except ValueError as error:
        typer.echo(f"sandbox: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        path = error.filename2 or error.filename  # the second one is where a finished file was to go
        what = f"{path} cannot be used: {error.strerror}" if path else str(error)
        typer.echo(f"sandbox: {what}; choose another place, or make this one free and writable", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
