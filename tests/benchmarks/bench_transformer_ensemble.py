"""Tiny transformers: one run after the other, or stacked under vmap? Prints a table; ratios are taken in one run.

    python tests/benchmarks/bench_transformer_ensemble.py

Both sides make the same AdamW steps on one thread. The limit is 6 x parameters x tokens operations a step over the rate of a
256 x 256 matrix product, measured in the same rounds; Python's overhead, not arithmetic, is what stacking saves.
"""

import time

import torch

from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adamw import AdamW
from sandbox.run import run
from sandbox.run_ensemble import run_ensemble

STEPS, ROUNDS = 30, 3


def seconds(call, *args, **kwargs) -> float:
    start = time.perf_counter()
    call(*args, **kwargs)
    return time.perf_counter() - start


def matmul_rate() -> float:
    """Operations per second of a 256 x 256 float32 product, best of ten."""
    a = torch.randn(256, 256)
    return 2 * 256**3 / min(seconds(torch.mm, a, a) for _ in range(10))


def row(width: int, batch: int, n_runs: int) -> str:
    model = LlamaConfig(vocab=68, width=width, layers=2, heads=4, context=32)
    problem = fitted(LanguageProblem(model, tokenizer=Characters(), batch_size=batch))
    rule, seeds = AdamW(lr=1e-3), tuple(range(n_runs))
    run_ensemble(problem, rule, steps=1, seeds=seeds)
    singles, stacks, rates = [], [], []
    for _ in range(ROUNDS):
        singles.append(seconds(run, problem, rule, steps=STEPS, seed=0) / STEPS)
        stacks.append(seconds(run_ensemble, problem, rule, steps=STEPS, seeds=seeds) / STEPS / n_runs)
        rates.append(matmul_rate())
    weights = sum(torch.Size(shape).numel() for shape in problem.shapes.values())
    limit = 6 * weights * batch * 32 / max(rates)
    single, stack = min(singles), min(stacks)
    return f"{width:6d} {batch * 32:7d} {n_runs:5d} {single * 1e3:9.2f} {stack * 1e3:9.2f} {single / stack:7.2f} {limit * 1e3:9.2f}"


def main() -> None:
    torch.set_num_threads(1)
    print(" width  tokens  runs   single     stack   ratio     limit   (ms per step of one run; ratio = single / stack)")
    for width, batch in ((32, 4), (32, 8), (64, 4), (64, 32)):
        for n_runs in (3, 12):
            print(row(width, batch, n_runs), flush=True)


if __name__ == "__main__":
    main()
