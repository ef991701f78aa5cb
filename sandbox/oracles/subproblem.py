"""The exact subproblem of RSO (2502.07222, problem (4a)).

    B* = argmin_B F(B),   F(B) = f(W + P B) + |B|_F^2 / (2 eta)
    grad F(B) = P^T grad f(W + P B) + B / eta

Where f has a constant Hessian (facts.spectrum is known) one linear solve is exact, and works under vmap. Elsewhere
damped Newton runs from B = 0 until |grad F| <= 1e-12 |grad F(0)|, or until a step is below the resolution of W: with
eta * Lhat < 1 F is strongly convex, and this is the global argmin; beyond, it is the stationary point that descent from
0 reaches, whose F is not above F(0).

Departures from the paper: it solves inexactly with an optimizer; this is the solver that its exact-subproblem theory
speaks of.

Letters: m, n = shape of W (n absent for a vector), r = columns of P, b = all coefficients as one vector.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sandbox.problems.base import Params, Problem

Scalar = Callable[[Tensor], Tensor]
MAX_STEPS = 200


def solve(problem: Problem, params: Params, P: Tensor | Params, eta: float, *, batch: Any = None) -> Tensor | Params:
    """B* for the parameters that P names: P is (m, r), or a dict of such; B is (r, n), (r,) for a vector, and a dict
    where P is one.

    eta: param^2 / loss. Raises ValueError for a P that does not fit, RuntimeError where Newton does not reach its
    tolerance.
    """
    if isinstance(P, Tensor):
        if len(params) != 1:
            raise ValueError(f"one tensor P needs a problem with one parameter, got {sorted(params)}; give a dict name -> P")
        (name,) = params
        return solve(problem, params, {name: P}, eta, batch=batch)[name]
    _check(params, P, eta)

    def F(b: Tensor) -> Tensor:
        moved = {name: params[name] + P[name] @ B for name, B in _unflatten(b, params, P).items()}
        return problem.loss({**params, **moved}, batch) + b @ b / (2 * eta)

    size = sum(B.numel() for B in _unflatten(None, params, P).values())
    zero = torch.zeros(size, dtype=next(iter(P.values())).dtype)
    if problem.facts.spectrum is not None:
        return _unflatten(_quadratic(F, zero), params, P)
    resolution = 1e-15 * max(float(params[name].norm()) for name in P)
    return _unflatten(_newton(F, zero, resolution), params, P)


def _unflatten(b: Tensor | None, params: Params, P: Params) -> Params:
    """The vector b cut into one B per name; with b = None empty tensors of the right shapes."""
    B, at = {}, 0
    for name, P_mr in P.items():
        shape = (P_mr.shape[1], *params[name].shape[1:])
        count = torch.Size(shape).numel()
        B[name] = torch.empty(shape) if b is None else b[at : at + count].reshape(shape)
        at += count
    return B


def _quadratic(F: Scalar, zero: Tensor) -> Tensor:
    """The stationary point of a quadratic F: one Newton step from zero, refined once against round-off."""
    H, grad = torch.func.hessian(F)(zero), torch.func.grad(F)
    b = -torch.linalg.solve(H, grad(zero))
    return b - torch.linalg.solve(H, grad(b))


def _newton(F: Scalar, b: Tensor, resolution: float) -> Tensor:
    """Stationary point of F; a Newton step shorter than `resolution` is one that float64 cannot see in W, so it ends
    there too.
    """
    grad_and_value, hessian = torch.func.grad_and_value(F), torch.func.hessian(F)
    g, value = grad_and_value(b)
    size = first = g.norm()
    for _ in range(MAX_STEPS):
        if size <= 1e-12 * first:
            return b
        d = descent_direction(hessian(b), g)
        if d.norm() <= resolution:
            return b + d
        b, g, value = _line_search(grad_and_value, b, d, g, value)
        size = g.norm()
    raise RuntimeError(
        f"Newton's |grad F| must fall to 1e-12 of its start, got {float(size / first):.1e} after {MAX_STEPS} steps, "
        f"|grad F(0)| = {float(first):.3e}; use eta < 1 / Lhat, for which F is strongly convex"
    )


def descent_direction(H: Tensor, g: Tensor) -> Tensor:
    """-|H|^-1 g with |H| from the absolute eigenvalues: Newton where F is convex, and downhill everywhere."""
    values, Q = torch.linalg.eigh(H)
    size = values.abs().clamp(min=1e-8 * values.abs().max())
    return -Q @ ((Q.T @ g) / size)


def _line_search(
    grad_and_value: Callable[[Tensor], tuple[Tensor, Tensor]], b: Tensor, d: Tensor, g: Tensor, value: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Halve the step until F falls by 1e-4 of its slope, or the gradient halves: near the end F no longer resolves the
    fall.
    """
    s = 1.0
    while s > 1e-12:
        new_g, new_value = grad_and_value(b + s * d)
        if new_value <= value + 1e-4 * s * (g @ d) or new_g.norm() <= g.norm() / 2:
            return b + s * d, new_g, new_value
        s /= 2
    return b, g, value


def _check(params: Params, P: Params, eta: float) -> None:
    for name, P_mr in P.items():
        if name not in params:
            raise ValueError(f"P names {name!r}, but the parameters are {sorted(params)}")
        if P_mr.ndim != 2 or P_mr.shape[0] != params[name].shape[0]:
            raise ValueError(
                f"P must be (m, r) with m = {params[name].shape[0]}, dim 0 of {name!r} {tuple(params[name].shape)}, "
                f"got {tuple(P_mr.shape)}; transpose it, or project the other side"
            )
    if not eta > 0:
        raise ValueError(f"eta must be > 0 (param^2 / loss), got {eta}")
