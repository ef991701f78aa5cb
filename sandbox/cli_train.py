"""`sandbox train`: one process, or as many as torchrun starts with `-m sandbox.cli train`."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from sandbox.cli_card import CardPath, Json, print_json


def train(
    path: CardPath,
    steps: Annotated[int | None, typer.Option(help="how many steps; default: the card's number")] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="where the arithmetic happens")] = "cpu",
    out: Annotated[Path, typer.Option(help="folder for the losses, the weights and the checkpoints")] = Path("results/train"),
    model: Annotated[str | None, typer.Option(help="another model: llama-60m, ..., CONFIG.json, or a folder of Hugging Face")] = None,
    text: Annotated[str | None, typer.Option(help="another text: a file, a folder of .txt or .parquet, or hub:NAME")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="tokenizer.json or its folder; default: the card's")] = None,
    batch: Annotated[int | None, typer.Option(help="windows of a step, of all ranks together")] = None,
    context: Annotated[int | None, typer.Option(help="tokens of a window")] = None,
    lr: Annotated[float | None, typer.Option(help="learning rate; default: the card's, or what it predicts for the model's width")] = None,
    rank: Annotated[int | None, typer.Option(help="rank of every frame; default: what the card says for the model's width")] = None,
    precision: Annotated[Literal["card", "bfloat16"], typer.Option(help="of forward and backward; weights keep the card's")] = "card",
    accumulate: Annotated[int, typer.Option(help="backward passes of a step")] = 1,
    recompute: Annotated[Literal["off", "blocks"], typer.Option(help="what is computed again in backward, not kept")] = "off",
    compile_: Annotated[str | None, typer.Option("--compile", help="backend of torch.compile, e.g. inductor")] = None,
    shell: Annotated[Literal["stepwise", "fused", "subspace"] | None, typer.Option(help="default: the card's; same numbers")] = None,
    checkpoint_every: Annotated[int, typer.Option(help="steps; 0: never")] = 100,
    validate_every: Annotated[int, typer.Option(help="steps; 0: at the end alone")] = 0,
    peak_tflops: Annotated[float | None, typer.Option(help="of one device, for MFU; default: by its name, in bfloat16")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="write events to OUT/tensorboard")] = False,
    seed: Annotated[int | None, typer.Option(help="of weights, batches and draws; default: the card's")] = None,
    foresee: Annotated[Path | None, typer.Option(help="train narrow models alone, and write the card with bands for this one")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="do not go on from the checkpoints in OUT")] = False,
    as_json: Json = False,
) -> None:
    """Train from a settings card; the card's ten losses must come out here first, or it stops there.

    Goes on from the newest checkpoint in OUT, on any number of ranks.

    Example: sandbox train results/cards/NAME.json --steps 20
    """
    from sandbox.scale.train import CanaryFailed
    from sandbox.scale.train import train as train_from

    options = {
        "model": model, "text": text, "tokenizer": tokenizer, "batch": batch, "context": context, "lr": lr, "rank": rank,
        "precision": precision, "accumulate": accumulate, "recompute": recompute, "compile": compile_, "shell": shell,
        "checkpoint_every": checkpoint_every, "validate_every": validate_every, "peak_tflops": peak_tflops, "seed": seed,
        "foresee": foresee,
    }  # fmt: skip
    options |= {"tensorboard": "on" if tensorboard else "off", "start": "fresh" if fresh else "resume"}
    speaks = os.environ.get("RANK", "0") == "0"  # what is refused is refused on every rank alike, and said once
    try:
        done = train_from(path, steps=steps, device=device, out=out, say=lambda line: typer.echo(line, err=as_json), **options)
    except (CanaryFailed, KeyboardInterrupt, ValueError) as end:
        if isinstance(end, ValueError) and _alone():
            raise
        code, words = _ended(end, path, out)
        if speaks:
            typer.echo(words, err=True)
        _leave(code)
        raise typer.Exit(code) from end
    if as_json and speaks:
        print_json([{"id": str(path), "status": "trained"} | asdict(done) | {"files": [str(file) for file in done.files]}])
    elif speaks:
        typer.echo("\n".join(f"wrote {file}" for file in done.files))
    _leave(0)


def _ended(end: BaseException, path: Path, out: Path) -> tuple[int, str]:
    """Exit code and sentence of a training that did not come to its end."""
    if isinstance(end, KeyboardInterrupt):  # 130 is what shells expect after Ctrl-C
        return 130, f"sandbox: interrupted; the same command goes on from the newest checkpoint in {out / 'checkpoints'}"
    return (2, f"sandbox: {end}") if isinstance(end, ValueError) else (1, f"{path}: {end}")


def _alone() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) == 1


def _leave(code: int) -> None:
    """Ends a process of torchrun at once, without the destructors of threads: now and then one of gloo's (torch 2.13) aborts there, after
    all work is done, and torchrun takes the job for a failed one.
    """
    if not _alone():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
