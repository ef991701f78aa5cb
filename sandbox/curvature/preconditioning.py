"""What a frozen diagonal preconditioner does to a condition number: Adam's, Adam-mini's, Jacobi's and its root.

    kappa(D H) = kappa(D^1/2 H D^1/2) = lambda_max / lambda_min        similar matrices; the right one is symmetric
    r          = kappa(D H) / kappa(H)                                 below 1 the preconditioner helps
    Adam       D_i = 1 / |g_i|                with g the FIRST gradient: beta1 = 0, beta2 = 1, bias correction at t = 1
    Adam-mini  D_i = 1 / rms(g over the block of i)
    Jacobi     D_i = 1 / H_ii
    its root   D_i = 1 / sqrt(H_ii)          of Adam where noise with the covariance H rules the gradients: v_i goes as H_ii

Source: the frozen-Adam study of Adam-mini (Zhang et al., 2024, https://arxiv.org/abs/2406.16793, section 2), read
second-hand. Departures from the paper: none known. All functions take leading batch dimensions: H (..., n, n), d and
g (..., n).

Facts used by the tests: max_i(D_i H_ii) / min_i(D_i H_ii) <= kappa(D H) <= kappa(D) kappa(H); on a diagonal H with g
= H x0, kappa(D_Adam H) = max|x0| / min|x0|, whatever H is; with one block per diagonal block of H, Adam-mini has r =
1 inside each.
"""

import numpy as np

from sandbox.curvature.block_mass import groups


def condition(H: np.ndarray, d: np.ndarray | None = None) -> np.ndarray:
    """kappa(diag(d) H), batched; d = None means kappa(H).

    Raises ValueError unless every H is positive definite and every d is positive.
    """
    scaled = H
    if d is not None:
        if not (np.asarray(d) > 0).all():
            raise ValueError(f"a preconditioner needs d > 0, got min d = {np.min(d):.3g}; a zero gradient entry makes it infinite")
        root = np.sqrt(d)
        scaled = root[..., :, None] * H * root[..., None, :]
    eigenvalues = np.linalg.eigvalsh(scaled)
    if not (eigenvalues[..., 0] > 0).all():
        raise ValueError(
            f"a condition number needs a positive definite H, got a smallest eigenvalue of {eigenvalues[..., 0].min():.3g} "
            f"beside a largest of {eigenvalues[..., -1].max():.3g}"
        )
    return eigenvalues[..., -1] / eigenvalues[..., 0]


def gain(H: np.ndarray, d: np.ndarray) -> np.ndarray:
    """r = kappa(D H) / kappa(H), batched: below 1 the preconditioner helps, above 1 it hurts."""
    return condition(H, d) / condition(H)


def adam_scale(g: np.ndarray) -> np.ndarray:
    """1 / |g| entry by entry. Raises ValueError where an entry of g is 0."""
    _refuse_zeros(np.abs(g), "Adam")
    return 1.0 / np.abs(g)


def adam_mini_scale(g: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """1 / rms(g over the block), repeated over the block; labels (n,) names the block of each entry.

    Raises ValueError where a whole block of g is 0, and for labels of the wrong number.
    """
    rms = np.empty_like(g, dtype=np.float64)
    for block in groups(labels, g.shape[-1]):
        rms[..., block] = np.sqrt(np.square(g[..., block]).mean(axis=-1, keepdims=True))
    _refuse_zeros(rms, "Adam-mini")
    return 1.0 / rms


def jacobi_scale(H: np.ndarray) -> np.ndarray:
    """1 / H_ii. Raises ValueError where a diagonal entry is not positive."""
    diagonal = np.diagonal(H, axis1=-2, axis2=-1)
    _refuse_zeros(diagonal, "Jacobi")
    return 1.0 / diagonal


def root_jacobi_scale(H: np.ndarray) -> np.ndarray:
    """1 / sqrt(H_ii). Raises ValueError where a diagonal entry is not positive."""
    return np.sqrt(jacobi_scale(H))


def gains(H: np.ndarray, g: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """r of every scale of the module, by name. Raises ValueError as they and `condition` do."""
    scales = {
        "adam": adam_scale(g),
        "adam-mini": adam_mini_scale(g, labels),
        "jacobi": jacobi_scale(H),
        "root-jacobi": root_jacobi_scale(H),
    }
    return {name: gain(H, d) for name, d in scales.items()}


def _refuse_zeros(divisor: np.ndarray, method: str) -> None:
    if not (divisor > 0).all():
        raise ValueError(f"{method}'s scale divides by numbers that must be > 0, got {np.min(divisor):.3g}; draw another start")
