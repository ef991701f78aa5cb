"""Rank-one factorisation of a non-negative matrix, as Adafactor and AdaLomo keep their second moment.

    V1 = R C^T / S,   R = row sums, C = column sums, S = total
    D(V || W) = sum_ij V_ij log(V_ij / W_ij) - V_ij + W_ij            generalised Kullback-Leibler (I-) divergence

with 0 log 0 = 0. V may have entries 0 but no row or column of them. V1 is the minimiser of D(V || a b^T) over
positive a, b, and D(V || V1) = S I, with I the mutual information (in nats)
of the row and the column index under V / S. Source: Shazeer & Stern (1804.04235), section 3 (second-hand), for the statement;
derived again in the proof.
"""

import sympy

from sandbox.theory.base import Bound

S, information, entropy, minor = sympy.symbols("S information entropy minor", real=True)
N, m, n = sympy.symbols("N m n", real=True)
PROOF = "proofs/proof_rank_one_nmf.py"


def divergence(V: sympy.Matrix, W: sympy.Matrix) -> sympy.Expr:
    """D(V || W) of two matrices of one shape: V of entries >= 0, W of positive ones."""
    return sum((x_log_ratio(x, y) - x + y for x, y in zip(V, W, strict=True)), sympy.Integer(0))


def x_log_ratio(x: sympy.Expr, y: sympy.Expr) -> sympy.Expr:
    """x log(x / y), and 0 where x is the number 0."""
    return sympy.Integer(0) if x == 0 else x * sympy.log(x / y)


def rank_one(V: sympy.Matrix) -> sympy.Matrix:
    """Row sums times column sums over the total: (m, n) of rank one."""
    ones = [sympy.ones(1, V.rows), sympy.ones(V.cols, 1)]
    return (V * ones[1]) * (ones[0] * V) / (ones[0] * V * ones[1])[0]


def mutual_information(V: sympy.Matrix) -> sympy.Expr:
    """Of the row and the column index drawn with probability V_ij / S, in nats."""
    total = sum(V)
    joint, independent = V / total, rank_one(V) / total
    return sum((x_log_ratio(p, q) for p, q in zip(joint, independent, strict=True)), sympy.Integer(0))


def expected_entropy(x: sympy.Expr) -> sympy.Expr:
    """h(x) = E v log v for v = chi^2_x / x, a mean of x squares of Gaussians."""
    return sympy.digamma(x / 2 + 1) - sympy.log(x / 2)


error = Bound(
    name="factorisation.error",
    quantity="I-divergence of a second moment from its rank-one factorisation",
    value=S * information,
    requires=(S > 0, information >= 0),
    kind="exact",
    source="derived; Pythagorean identity of the I-divergence",
    proof=PROOF,
)

error_limit = Bound(
    name="factorisation.error_limit",
    quantity="I-divergence of a second moment from its rank-one factorisation",
    value=S * entropy,
    requires=(S > 0, entropy >= 0),
    kind="upper",
    source="derived; entropy = the smaller marginal entropy, at most log min(m, n); equality for permutations",
    proof="proofs/proof_factored_entropy.py",
)

entry_error = Bound(
    name="factorisation.entry_error",
    quantity="largest error of an entry of the rank-one factorisation",
    value=(m - 1) * (n - 1) * minor / S,
    requires=(S > 0, m >= 1, n >= 1, minor >= 0),
    kind="upper",
    source="derived; minor = the largest 2 x 2 minor in absolute value, so that the factorisation is exact for rank one alone; equality "
    "for every size, and for every 2 x 2 matrix",
    proof="proofs/proof_factored_entropy.py",
)

sampling_error = Bound(
    name="factorisation.sampling_error",
    quantity="relative I-divergence of an averaged rank-one second moment from its factorisation",
    value=expected_entropy(N),
    requires=(N > 0,),
    kind="upper",
    source="derived; g_ij^2 = a_i b_j z^2, z Gaussian, N averages; ratio of expectations, for every size, a and b: what is missing is "
    "E D(V1 || truth) >= 0, which vanishes for large matrices",
    proof="proofs/proof_factored_noise.py",
)
