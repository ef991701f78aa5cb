"""The spectrum of every tensor's own Hessian: all eigenvalues of small ones, Lanczos densities of large ones.

What `heterogeneity` compares. A Lanczos density has n_steps nodes a probe: its ends are sharp, its bulk is as fine as the
nodes lie. Zhang et al. (2024), https://arxiv.org/abs/2402.16788, take 100 steps and 10 probes (read in their code), without
orthogonalising again and from normal starts; here as `density` does.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from sandbox.curvature.checks import check_objective
from sandbox.curvature.dense import dense as matrix_of
from sandbox.curvature.density import spectral_density
from sandbox.curvature.heterogeneity import Spectrum, exact, quadrature
from sandbox.curvature.objective import objective
from sandbox.curvature.operators import hessian, operator
from sandbox.curvature.probes import require
from sandbox.problems.base import Params


def tensor_spectra(
    loss: Callable[[Params, Any], Tensor],
    params: Params,
    batches: Sequence[Any],
    *,
    names: Sequence[str] | None = None,
    dense: int = 256,
    n_steps: int = 100,
    n_probes: int = 10,
    seed: int = 0,
) -> dict[str, Spectrum]:
    """By name, in float64. dense: tensors of at most so many entries by all their eigenvalues, others by n_steps n_probes products.

    Raises ValueError for dense < 0 and for all that `objective`, `check_objective` and `spectral_density` refuse.
    """
    require("dense", dense, 0)
    whole = objective(loss, params, batches, names=names)
    check_objective(whole)
    found = {}
    for name in whole.layout.names:
        matrix = hessian(objective(loss, params, batches, names=(name,)))
        if matrix.layout.size <= max(dense, 1):
            H = matrix_of(matrix)
            found[name] = exact((H + H.T) / 2.0)
        else:
            found[name] = quadrature(spectral_density(operator(matrix), n_steps=n_steps, n_probes=n_probes, seed=seed))
    return found
