"""Moments of random projections S = P P^T with E S = I, P (m, r), for four laws of P.

    orthogonal     scaled Stiefel (Haar) and coordinates without replacement: P^T P = (m/r) I
    haar           sqrt(m/r) times uniformly distributed orthonormal columns
    gaussian       independent N(0, 1/r)
    coordinate     sqrt(m/r) times r distinct columns of the identity
    replacement    sqrt(m/r) times r independent columns of the identity

Symbols: m, r sizes; L, trace_H in loss / param^2. For a matrix H and vectors x, y: yHx = y^T H x, xHy = x^T H y,
yDx = y^T diag(H) x, tr_yx = tr(H) y^T x. kappa = sum_i g_i^4 / |g|^4, between 1/m and 1: how much g sits in few entries.
second_moment = c where E S^2 = c I. Singular values s_1 >= s_2 >= ... of the gradient, of which r1 are kept as they are:
tail_sum and tail_energy are the sums of s_i and s_i^2 over i > r1, tail = their number, rank_left = r - r1,
head_least = s_r1, tail_most = s_(r1+1).

What no constant expresses: P independent of the gradient and of W.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.rso import L, m, r, trace_H

yHx, xHy, yDx, tr_yx, kappa, lr, second_moment = sympy.symbols("yHx xHy yDx tr_yx kappa lr second_moment", real=True)
tail_sum, tail_energy, tail, rank_left = sympy.symbols("tail_sum tail_energy tail rank_left", real=True)
head_least, tail_most = sympy.symbols("head_least tail_most", real=True)

SIZES = (m >= 2, r >= 1, r <= m)
ANY_RANK = (m >= 1, r >= 1)  # a Gaussian or repeated basis may have more columns than rows
CONCENTRATION = (kappa <= 1, m * kappa >= 1)
SQUARE = "c of E (P P^T)^2 = c I"
FORM = "mean of y^T P P^T H P P^T x"
FOURTH = "mean of |P^T g|^4 over |g|^4"
ERROR = "mean of |P P^T g - g|^2 over |g|^2"
SMOOTHNESS = "largest eigenvalue of E P P^T H P P^T"
VARIANCE = "mean squared error of an unbiased random matrix of rank r"
MOMENTS_PROOF = "proofs/proof_projection_moments.py"
COORDINATE_PROOF = "proofs/proof_projection_coordinates.py"
VARIANCE_PROOF = "proofs/proof_projection_minimum_variance.py"
STEP_PROOF = "proofs/proof_projection_step.py"
PRAC = "PRAC (2026), https://arxiv.org/abs/2602.23111, Theorems 6, 7 and 16, read"

_haar = m / (r * (m - 1) * (m + 2))
_haar_H, _haar_other = _haar * (m * r + r - 2), _haar * (m - r)
_coordinate_H, _coordinate_diagonal = m * (r - 1) / (r * (m - 1)), m * (m - r) / (r * (m - 1))


def exact(name: str, quantity: str, value: sympy.Expr, requires: tuple, proof: str, source: str = "derived") -> Bound:
    return Bound(f"projections.{name}", quantity, value, requires, "exact", source, proof)


square_orthogonal = exact("square_orthogonal", SQUARE, m / r, SIZES, MOMENTS_PROOF)
square_gaussian = exact("square_gaussian", SQUARE, (m + r + 1) / r, ANY_RANK, MOMENTS_PROOF)
square_replacement = exact("square_replacement", SQUARE, (m + r - 1) / r, ANY_RANK, COORDINATE_PROOF)

form_haar = exact("form_haar", FORM, _haar_H * yHx + _haar_other * (xHy + tr_yx), SIZES, MOMENTS_PROOF)
form_gaussian = exact("form_gaussian", FORM, yHx + (xHy + tr_yx) / r, ANY_RANK, MOMENTS_PROOF)
form_coordinate = exact("form_coordinate", FORM, _coordinate_H * yHx + _coordinate_diagonal * yDx, SIZES, COORDINATE_PROOF)
form_replacement = exact("form_replacement", FORM, (r - 1) / r * yHx + m / r * yDx, ANY_RANK, COORDINATE_PROOF)

fourth_haar = exact("fourth_haar", FOURTH, m * (r + 2) / (r * (m + 2)), SIZES, MOMENTS_PROOF)
fourth_gaussian = exact("fourth_gaussian", FOURTH, (r + 2) / r, ANY_RANK, MOMENTS_PROOF)
fourth_coordinate = exact(
    "fourth_coordinate", FOURTH, _coordinate_H + _coordinate_diagonal * kappa, (*SIZES, *CONCENTRATION), COORDINATE_PROOF
)
fourth_replacement = exact("fourth_replacement", FOURTH, (r - 1) / r + m / r * kappa, (*ANY_RANK, *CONCENTRATION), COORDINATE_PROOF)

error_orthogonal = exact("error_orthogonal", ERROR, m / r - 1, SIZES, MOMENTS_PROOF, f"derived; the Haar case is in {PRAC}")
error_gaussian = exact("error_gaussian", ERROR, (m + 1) / r, ANY_RANK, MOMENTS_PROOF)
error_replacement = exact("error_replacement", ERROR, (m - 1) / r, ANY_RANK, COORDINATE_PROOF)

smoothness_gaussian = exact(
    "smoothness_gaussian",
    SMOOTHNESS,
    ((r + 1) * L + trace_H) / r,
    (*ANY_RANK, L > 0, trace_H >= L),
    MOMENTS_PROOF,
    "derived; H symmetric and positive semidefinite; the Haar case is rso.haar_smoothness",
)

smoothness = Bound(
    name="projections.smoothness",
    quantity=SMOOTHNESS,
    value=second_moment * L,
    requires=(L > 0, second_moment >= 1),
    kind="upper",
    source="derived; any law with E S^2 = c I and any H with |H| <= L; equality for H = L I",
    proof=STEP_PROOF,
)

gradient_sum = exact(
    "gradient_sum",
    "sum of squared gradient norms over the decrease of the loss",
    2 / (lr * (2 - lr * L * second_moment)),
    (L > 0, lr > 0, second_moment >= 1, lr * L * second_moment < 2),
    STEP_PROOF,
    "derived; W <- W - lr P P^T grad f(W), in expectation over P, any L-smooth f; equality on L |W|^2 / 2",
)

minimum_variance = exact(
    "minimum_variance",
    VARIANCE,
    tail_sum**2 / rank_left - tail_energy,
    (rank_left >= 1, tail_most >= 0, tail_most * rank_left <= tail_sum, head_least * rank_left >= tail_sum),
    VARIANCE_PROOF,
    "derived by a linear dual certificate; as in Benzing et al. (2019), https://arxiv.org/abs/1902.03993 (recalled)",
)

prac_variance = exact(
    "prac_variance",
    VARIANCE,
    (tail / rank_left - 1) * tail_energy,
    (rank_left >= 1, rank_left <= tail, tail >= 2, tail_energy >= 0),
    VARIANCE_PROOF,
    f"{PRAC}; the variance of its estimator, a minimum only where the tail is flat",
)
