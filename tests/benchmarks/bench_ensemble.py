"""Ensembles of quadratics against a loop of torch.optim runs. Prints a table; every ratio is taken within one run.

    python tests/benchmarks/bench_ensemble.py

256 runs with their own learning rates on a 64-dimensional quadratic, 500 steps, float64, one thread. "loop" writes the
gradient down, so that it pays for torch.optim alone; "autograd" is the same loop as people write it, with loss.backward().
Eight of its runs are timed and scaled to 256; the ensemble also records loss and gradient norm of every step, the loops do
not. The second table is a step of 25 small tensors. Goal: both ratios >= 20.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sandbox.draws import generator, normal
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.shells.ensemble import Runs, ensemble
from sandbox.shells.stepwise import Stepwise

RUNS, TIMED, DIM, STEPS, ROUNDS = 256, 8, 64, 500, 3
SPECTRUM = torch.logspace(-2, 0, DIM, dtype=torch.float64)
PAIRS = {
    "gradient descent": (GradientDescent(lr=1.0), lambda w, lr: torch.optim.SGD([w], lr=lr)),
    "adamw": (AdamW(lr=1.0), lambda w, lr: torch.optim.AdamW([w], lr=lr)),
}
SMALL = {
    "gradient descent": GradientDescent(lr=0.1),
    "adam": Adam(lr=0.1),
    "adamw": AdamW(lr=0.1),
    "adam-mini, 4 heads": AdamMini(lr=0.1, n_blocks=4),
    "adalomo": AdaLomo(lr=0.1),
    "galore, rank 8": GaLore(Adam(lr=0.1), rank=8),
    "rso, rank 8": RSO(Adam(lr=0.1), rank=8, update_gap=200),
}


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def loss_and_grads(params: dict[str, Tensor], _: object) -> tuple[Tensor, dict[str, Tensor]]:
    g = SPECTRUM * params["x"]
    return 0.5 * (g * params["x"]).sum(), {"x": g}


def looped(make: Callable, rates: Tensor, *, autograd: str) -> list[Tensor]:
    finals = []
    for i in range(TIMED):
        w = nn.Parameter(normal((DIM,), generator(i)))
        optimizer = make(w, rates[i].item())
        for _ in range(STEPS):
            if autograd == "autograd":
                optimizer.zero_grad()
                (0.5 * (SPECTRUM * w * w).sum()).backward()
            else:
                w.grad = SPECTRUM * w.detach()
            optimizer.step()
        finals.append(w.detach())
    return finals


def compare(name: str) -> None:
    rule, make = PAIRS[name]
    rates = torch.logspace(-2, -0.5, RUNS, dtype=torch.float64)[torch.randperm(RUNS, generator=generator(0))]
    runs = Runs({"x": torch.stack([normal((DIM,), generator(i)) for i in range(RUNS)])}, tuple(range(RUNS)), {"lr": rates})
    ensemble(loss_and_grads, rule, runs, steps=2)  # the first vmap of a process costs about a second
    together, analytic, usual = [], [], []
    for _ in range(ROUNDS):
        together.append(seconds(lambda: ensemble(loss_and_grads, rule, runs, steps=STEPS)))
        analytic.append(seconds(lambda: looped(make, rates, autograd="analytic")) * RUNS / TIMED)
        usual.append(seconds(lambda: looped(make, rates, autograd="autograd")) * RUNS / TIMED)
    a, b, c = min(together), min(analytic), min(usual)
    print(f"{name:18s} {a:9.2f} {b:9.2f} {c:9.2f} {b / a:7.1f} {c / a:7.1f}")


def one_step(optimizer: torch.optim.Optimizer) -> float:
    optimizer.step()
    return min(seconds(optimizer.step) for _ in range(50))


def small_tensors() -> None:
    named = [(f"w{i}", nn.Parameter(normal((32, 32), generator(i)).float())) for i in range(25)]
    for i, (_, w) in enumerate(named):
        w.grad = normal((32, 32), generator(100 + i)).float()
    peer = one_step(torch.optim.AdamW(w for _, w in named))
    print(f"{'torch.optim.AdamW':18s} {peer * 1e3:9.2f}")
    for name, rule in SMALL.items():
        ours = one_step(Stepwise(named, rule))
        print(f"{name:18s} {ours * 1e3:9.2f} {ours / peer:7.2f}")


def main() -> None:
    torch.set_num_threads(1)
    print(f"{RUNS} runs, {DIM} dimensions, {STEPS} steps: seconds; ratio = loop / ensemble")
    print("rule                ensemble      loop  autograd   ratio   ratio")
    for name in PAIRS:
        compare(name)
    print("\none step of 25 tensors of 32 x 32, float32: milliseconds; ratio = ours / torch")
    small_tensors()


if __name__ == "__main__":
    main()
