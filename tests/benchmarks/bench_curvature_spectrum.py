"""Top-20 eigenvalues and spectral density of a transformer, by its products: ours beside curvlinops and hessian-eigenthings.

    python tests/benchmarks/bench_curvature_spectrum.py FOLDER          1 M parameters; FOLDER: on the path, for peers unpacked there
    python tests/benchmarks/bench_curvature_spectrum.py FOLDER large    10 M parameters (9 GB, half an hour on a busy machine)

GPT-like, float32, 32 tokens, LayerNorm written out: with torch's own the products of curvlinops 3.0.1 on torch 2.13 are wrong (see
`sandbox.curvature.operators`), and with SiLU it has none. Seconds are of the processor, on one thread. Every residual
|H v - value v| is taken with our products and shown relative to the largest eigenvalue found, the worst of twenty. Density: STEPS
steps from each of PROBES starts; "tops" are the nodes within 1 % of the top per start, of which more than one is a copy.

Measured once for each size, while ten to twenty processes used the two cores:

                              1,026,432 parameters                     9,951,360 parameters
                              products   seconds   accuracy            products   seconds   accuracy
    top 20    ours                 148       4.7     4.3e-5                 164      36.4     4.5e-4
              curvlinops           127      11.5     1.4e-4                 154      63.6     5.5e-4
              eigenthings          120      10.9     1.2e-4                 120     222.4     1.3e-2
              lobpcg               325      27.3     9.9e-4
    density   ours                  80       3.1                             80      15.6
              curvlinops            80       7.0     top twice               80      21.0     top twice
              eigenthings           80       5.0                             80      67.5

In a quieter hour the first column was 5.2, 15.0, 7.6 and 2.3, 5.2, 3.2 s. curvlinops: its products under SciPy's eigsh, and its Lanczos
run, which does not keep vectors orthogonal. eigenthings: LONGEST steps, too few for the tolerance at ten millions; nine tenths of its
time there are not spent on products. lobpcg: SciPy's, with our products, in blocks of twenty. torch.lobpcg takes a
matrix, not products.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import LinearOperator, eigsh, lobpcg
from torch import Tensor, nn

from sandbox.curvature.density import spectral_density
from sandbox.curvature.objective import objective, supervised
from sandbox.curvature.operators import hessian
from sandbox.curvature.spectrum import end_of_spectrum
from sandbox.draws import generator
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import initial

K, TOL, LONGEST = 20, 1e-3, 120  # eigenvalues, tolerance of eigsh, steps of a Lanczos run without restarts
STEPS, PROBES = 40, 2
SIZES = {
    "1M": GPTConfig(vocab=256, width=128, layers=5, heads=4, context=16),
    "10M": GPTConfig(vocab=256, width=320, layers=8, heads=4, context=16),
}


class PlainNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        away = x - x.mean(-1, keepdim=True)
        return away * (away.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * self.weight + self.bias


class Flat(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.model = config.module()
        self.model.norm = PlainNorm(config.width)
        for block in self.model.blocks:
            block.attention_norm, block.ffn_norm = PlainNorm(config.width), PlainNorm(config.width)
        self.model.load_state_dict(initial(config, 0, torch.float32), strict=False)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(tokens).flatten(0, 1)


@dataclass
class Counted:
    """A product with its calls and its processor seconds."""

    times: Callable[[Tensor], Tensor]
    n: int
    calls: int = 0
    seconds: float = 0.0

    def __call__(self, v: Tensor) -> Tensor:
        start = time.process_time()
        found = self.times(v)
        self.seconds += time.process_time() - start
        self.calls += 1
        return found

    def scipy(self) -> LinearOperator:
        def column(v: np.ndarray) -> np.ndarray:
            return self(torch.from_numpy(np.ascontiguousarray(v, dtype=np.float32).reshape(-1))).numpy()

        return LinearOperator(
            (self.n, self.n), matvec=column, rmatvec=column, matmat=lambda V: np.stack([column(v) for v in V.T], 1), dtype=np.float32
        )


def products(model: Flat, batch: tuple[Tensor, Tensor]) -> dict[str, Callable[[Tensor], Tensor]]:
    """One product of each library, by name."""
    params = dict(model.named_parameters())
    matrix = hessian(objective(supervised(model, F.cross_entropy), params, [batch], dtype=torch.float32))
    found = {"ours": lambda v: matrix.times(v[None])[0]}
    try:
        from curvlinops import HessianLinearOperator

        other = HessianLinearOperator(model, nn.CrossEntropyLoss(), list(params.values()), [batch], check_deterministic=False)
        found["curvlinops"] = lambda v: (other @ v).detach()
    except ImportError:
        print("curvlinops: not installed")
    try:
        from hessian_eigenthings.operators import HessianOperator

        third = HessianOperator(model, [batch], lambda m, b: F.cross_entropy(m(b[0]), b[1]))
        found["hessian-eigenthings"] = third.matvec
    except ImportError:
        print("hessian-eigenthings: not installed")
    return found


def eigenthings_operator(product: Counted) -> object:
    from hessian_eigenthings.operators.base import LambdaOperator

    return LambdaOperator(product, product.n, device=torch.device("cpu"), dtype=torch.float32)


def top(name: str, product: Counted, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Values and vectors (n, K). largest: eigenvalue, by which the absolute tolerance of lobpcg is set."""
    if name == "ours":
        found = end_of_spectrum(product.scipy(), K, tol=TOL)
        return found.values, found.vectors
    if name == "curvlinops":
        return eigsh(product.scipy(), K, which="LA", tol=TOL, ncv=2 * K + 1)
    if name == "lobpcg":
        X = np.linalg.qr(np.random.default_rng(0).standard_normal((product.n, K)).astype(np.float32))[0]
        return lobpcg(product.scipy(), X, largest=True, maxiter=40, tol=TOL * largest)
    from hessian_eigenthings.algorithms.lanczos import lanczos

    result = lanczos(eigenthings_operator(product), k=K, max_iter=LONGEST, which="LA", reorthogonalize=True, seed=0)
    return result.eigenvalues.numpy(), result.eigenvectors.numpy().T


def nodes(name: str, product: Counted) -> list[np.ndarray]:
    """The nodes of every start."""
    if name == "ours":
        return list(spectral_density(product.scipy(), n_steps=STEPS, n_probes=PROBES).nodes)
    if name == "curvlinops":
        return [curvlinops_nodes(product, seed) for seed in range(PROBES)]
    from hessian_eigenthings.algorithms.spectral_density import spectral_density as theirs

    return list(theirs(eigenthings_operator(product), num_runs=PROBES, lanczos_steps=STEPS, seed=0).raw_eigenvalues.numpy())


def curvlinops_nodes(product: Counted, seed: int) -> np.ndarray:
    """Its Lanczos run alone, without the search for the ends that its density starts with."""
    from curvlinops.papyan2020traces.spectrum import fast_lanczos

    torch.manual_seed(seed)

    class Multiplies:
        shape, device, dtype = (product.n, product.n), torch.device("cpu"), torch.float32

        def __matmul__(self, v: Tensor) -> Tensor:
            return product(v)

    return fast_lanczos(Multiplies(), STEPS)[0].numpy()


def main() -> None:
    torch.set_num_threads(1)
    large = "large" in sys.argv[1:]
    sys.path += [folder for folder in sys.argv[1:] if folder != "large"]
    config = SIZES["10M" if large else "1M"]
    model, windows = Flat(config), torch.randint(0, config.vocab, (2, config.context + 1), generator=generator(0, 1))
    ways = products(model, (windows[:, :-1], windows[:, 1:].flatten()))
    n = sum(p.numel() for p in model.parameters())
    v = torch.randn(n, generator=torch.Generator().manual_seed(0))
    truth = ways["ours"](v)
    print(f"{n:,} parameters, 32 tokens, float32\n{'way':22s} {'job':10s} {'products':>9s} {'s of them':>10s} {'seconds':>9s}  accuracy")
    for name, way in ways.items():
        one = Counted(way, n)
        for _ in range(5):
            found = one(v)
        print(
            f"{name:22s} {'product':10s} {5:9d} {one.seconds:10.2f} {one.seconds:9.2f}  {float((found - truth).norm() / truth.norm()):.1e}"
        )
    largest = 1.0
    for name, way in (ways if large else ways | {"lobpcg": ways["ours"]}).items():
        one, start = Counted(way, n), time.process_time()
        values, vectors = top(name, one, largest)
        took = time.process_time() - start
        off = [np.linalg.norm(ways["ours"](torch.from_numpy(u.copy())).numpy() - x * u) for x, u in zip(values, vectors.T, strict=True)]
        largest = abs(values).max()
        worst = max(off) / largest
        ends = f"{values.max():.5g} ... {values.min():.5g}"
        print(f"{name:22s} {f'top {K}':10s} {one.calls:9d} {one.seconds:10.2f} {took:9.2f}  {worst:.1e}  {ends}", flush=True)
        del vectors
    for name, way in ways.items():
        one, start = Counted(way, n), time.process_time()
        found = nodes(name, one)
        took = time.process_time() - start
        tops = [int((x > 0.99 * x.max()).sum()) for x in found]
        print(f"{name:22s} {'density':10s} {one.calls:9d} {one.seconds:10.2f} {took:9.2f}  tops {tops}", flush=True)


if __name__ == "__main__":
    main()
