"""Exact Hessian of a one-layer transformer of 4,400 parameters on 128 tokens: ours beside every other way to it. Prints three tables.

    python tests/benchmarks/bench_curvature.py            the ways at 4,400 parameters, and ours at 1k, 2k, 4k, 8k
    python tests/benchmarks/bench_curvature.py large      also 20k, in float32 and float64 (3.3 GB)
    python tests/benchmarks/bench_curvature.py FOLDER     a folder on the path, e.g. where hessian-eigenthings was unpacked

Seconds are of the processor, on one thread, so that other work on the machine does not count; the best of two, of the slow ways one.
Every way is given the chunk that suits it of 32 and 256 rows, and its matrix is compared with ours.

"limit": matrix products alone at the rate of a 1,024 x 1,024 x 1,024 product measured in the same run, for one product with H per
row, of which torch counts the operations. "counted": the operations that our half way does instead of whole products. Of the time
above that, matrix products of 128 x 16 numbers a row, far below that rate, are a third; the rest are the derivatives of norm, softmax
and GELU, sums and copies, entry by entry.

torch.func.hessian and curvlinops are off by 0.02 in the rows of LayerNorm's weights (see `sandbox.curvature.operators`).
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sandbox.curvature.dense import dense, plan
from sandbox.curvature.objective import Objective, objective, supervised
from sandbox.curvature.operators import hessian
from sandbox.draws import generator
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import initial

SEQUENCES, CONTEXT = 8, 16
SIZES = {
    "1k": GPTConfig(vocab=24, width=8, layers=1, heads=4, context=CONTEXT, ffn=16),
    "2k": GPTConfig(vocab=48, width=12, layers=1, heads=4, context=CONTEXT, ffn=24),
    "4k": GPTConfig(vocab=52, width=16, layers=1, heads=4, context=CONTEXT),
    "8k": GPTConfig(vocab=64, width=24, layers=1, heads=4, context=CONTEXT, ffn=72),
    "20k": GPTConfig(vocab=220, width=32, layers=1, heads=4, context=CONTEXT),
}


class Flat(nn.Module):
    """Logits with one row per token, as the peers' losses want them."""

    def __init__(self, config: GPTConfig, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = config.module()
        self.model.load_state_dict(initial(config, 0, torch.float64), strict=False)
        self.to(dtype)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(tokens).flatten(0, 1)


@dataclass(frozen=True)
class Case:
    model: Flat
    batch: tuple[Tensor, Tensor]
    dtype: torch.dtype

    @property
    def params(self) -> list[Tensor]:
        return list(self.model.parameters())

    def objective(self) -> Objective:
        return objective(supervised(self.model, F.cross_entropy), dict(self.model.named_parameters()), [self.batch], dtype=self.dtype)


def case(size: str, dtype: torch.dtype) -> Case:
    windows = torch.randint(0, SIZES[size].vocab, (SEQUENCES, CONTEXT + 1), generator=generator(0, 1))
    return Case(Flat(SIZES[size], dtype), (windows[:, :-1], windows[:, 1:].flatten()), dtype)


def ours(one: Case) -> np.ndarray:
    return dense(hessian(one.objective()))


def row_by_row(one: Case) -> np.ndarray:
    params = one.params
    slopes = torch.autograd.grad(F.cross_entropy(one.model(one.batch[0]), one.batch[1]), params, create_graph=True)
    flat = torch.cat([x.reshape(-1) for x in slopes])
    rows = (torch.autograd.grad(entry, params, retain_graph=True, materialize_grads=True) for entry in flat)
    return np.stack([torch.cat([x.reshape(-1) for x in row]).numpy() for row in rows])


def forward_over_reverse(chunk: int) -> Callable[[Case], np.ndarray]:
    def way(one: Case) -> np.ndarray:
        f = one.objective()
        gradient, eye = torch.func.grad(f.part(f.batches[0])), torch.eye(len(f.at), dtype=one.dtype)
        along = torch.func.vmap(lambda v: torch.func.jvp(gradient, (f.at,), (v,))[1])
        return torch.cat([along(part) for part in eye.split(chunk)]).numpy()

    return way


def reverse_over_reverse(chunk: int) -> Callable[[Case], np.ndarray]:
    """torch.func.jacrev of the gradient; of torch.func's own ways the one that has chunks."""

    def way(one: Case) -> np.ndarray:
        f = one.objective()
        return torch.func.jacrev(torch.func.grad(f.part(f.batches[0])), chunk_size=chunk)(f.at).detach().numpy()

    return way


def torch_func_hessian(one: Case) -> np.ndarray:
    """Forward over reverse, all rows at once."""
    f = one.objective()
    return torch.func.hessian(f.part(f.batches[0]))(f.at).numpy()


def curvlinops(chunk: int) -> Callable[[Case], np.ndarray]:
    from curvlinops import HessianLinearOperator

    def way(one: Case) -> np.ndarray:
        n = sum(p.numel() for p in one.params)
        other = HessianLinearOperator(one.model, nn.CrossEntropyLoss(), one.params, [one.batch], check_deterministic=False)
        return torch.cat([(other @ part.T).detach() for part in torch.eye(n, dtype=one.dtype).split(chunk)], 1).numpy()

    return way


def eigenthings() -> Callable[[Case], np.ndarray]:
    from hessian_eigenthings.operators import HessianOperator

    def way(one: Case) -> np.ndarray:
        other = HessianOperator(one.model, [one.batch], lambda model, batch: F.cross_entropy(model(batch[0]), batch[1]))
        return np.stack([other.matvec(unit).numpy() for unit in torch.eye(other.size, dtype=one.dtype)])

    return way


def ways() -> Iterator[tuple[str, Callable[[Case], np.ndarray], int]]:
    """Name, way, rounds; peers that are not installed are named and left out."""
    yield "ours", ours, 2
    for chunk in (32, 256):
        yield f"vmap of forward over reverse, {chunk}", forward_over_reverse(chunk), 2
        yield f"torch.func.jacrev of grad, {chunk}", reverse_over_reverse(chunk), 2
    yield "torch.func.hessian", torch_func_hessian, 1
    for name, build in (("curvlinops @ eye, 32", lambda: curvlinops(32)), ("curvlinops @ eye, 256", lambda: curvlinops(256))):
        try:
            yield name, build(), 2
        except ImportError:
            print(f"{name}: not installed")
    yield "rows one by one", row_by_row, 1
    try:
        yield "hessian-eigenthings", eigenthings(), 1
    except ImportError:
        print("hessian-eigenthings: not installed")


def seconds(call: Callable[[], np.ndarray], rounds: int) -> tuple[float, np.ndarray]:
    """Processor seconds, the best of some rounds, and the result."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        result = call()
        best = min(best, time.process_time() - start)
    return best, result


def operations(call: Callable[[], object]) -> int:
    """Additions and multiplications of matrix products, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def rate(dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product."""
    A = torch.ones(1024, 1024, dtype=dtype)
    return 2 * 1024**3 / seconds(lambda: A @ A, 5)[0]


def compare(dtype: torch.dtype) -> None:
    one = case("4k", dtype)
    n = sum(p.numel() for p in one.params)
    print(f"\n{n:,} parameters, {SEQUENCES * CONTEXT} tokens, {dtype}".replace("torch.", ""))
    print(f"{'way':36s} {'seconds':>9s} {'ours / it':>9s} {'largest difference':>19s}")
    base = truth = best = None
    for name, way, rounds in ways():
        took, H = seconds(lambda way=way: way(one), rounds)
        if base is None:
            base, truth = took, H
            best = float("inf")
        else:
            best = min(best, took)
        print(f"{name:36s} {took:9.2f} {base / took:9.2f} {abs(H - truth).max():19.1e}", flush=True)
    print(f"ours / best of the others: {base / best:.2f}")


def limits(dtype: torch.dtype) -> None:
    one = case("4k", dtype)
    f = one.objective()
    matrix, gemm = hessian(f), rate(dtype)
    matrix.times(torch.ones(1, len(f.at), dtype=dtype))  # builds the graph
    forward = operations(lambda: one.model(one.batch[0]))
    product = operations(lambda: matrix.times(torch.ones(1, len(f.at), dtype=dtype)))
    counted, took = operations(lambda: dense(matrix)), seconds(lambda: dense(matrix), 2)[0]
    limit = product * len(f.at) / gemm
    print(
        f"\n{dtype}: forward {forward / 1e6:.2f} Mflop, product {product / forward:.1f} forwards, GEMM {gemm / 1e9:.1f} Gflop/s".replace(
            "torch.", ""
        )
    )
    print(
        f"limit {limit:.2f} s by whole products, {counted / gemm:.2f} s counted; ours {took:.2f} s: {took * gemm / counted:.1f} x counted"
    )


def growth(names: list[str], dtype: torch.dtype) -> None:
    print(
        f"\n{'parameters':>10s} {str(dtype).removeprefix('torch.'):>10s} {'bytes':>14s} {'chunk':>6s} {'seconds':>9s} {'1e8 s / n^2':>12s}"
    )
    for name in names:
        matrix = hessian(case(name, dtype).objective())
        needed, n = plan(matrix), len(matrix.at)
        took, _ = seconds(lambda matrix=matrix: dense(matrix), 1)
        print(f"{'':10s} {n:10,d} {needed.size + needed.work:14,d} {needed.chunk:6d} {took:9.2f} {1e8 * took / n**2:12.2f}", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    large = "large" in sys.argv[1:]
    sys.path += [folder for folder in sys.argv[1:] if folder != "large"]
    ours(case("1k", torch.float32))  # the first vmap of a process
    for dtype in (torch.float32, torch.float64):
        compare(dtype)
        limits(dtype)
    for dtype in (torch.float32, torch.float64):
        growth([*SIZES] if large else [*SIZES][:-1], dtype)


if __name__ == "__main__":
    main()
