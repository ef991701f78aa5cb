"""Moments of random directions, by pairings: every contraction of E z_i z_j z_k z_l at once, for any dimension d.

    E z_i z_j = scale [i = j]
    E z_i z_j z_k z_l = pair ([ij][kl] + [ik][jl] + [il][jk]) + own [i = j = k = l]

    gaussian     N(0, I)                        1, 1, 0
    sphere       uniform, |z|^2 = d             1, d/(d+2), 0
    rademacher   independent signs              1, 1, -2
    kept         gaussian, each entry kept with probability p        p, p^2, 3 p (1 - p)
    kept_count   gaussian, k entries of d kept                       k/d, k (k-1)/(d (d-1)), 3 (k/d - k (k-1)/(d (d-1)))

A form z^T M1 z z^T M2 z ... is a word of letters, one for each M: "1" the identity, "H" a symmetric matrix, "G" = g g^T. A pairing
of its 2 k slots closes the letters into cycles, and each cycle is a trace. Sources: Isserlis (1918), Wick (1950) for the pairings;
the laws are derived from their definitions in proofs/proof_two_point_moments.py.
Symbols: g2 = |g|^2, gHg = g^T H g, gHHg = |H g|^2, tr_H, tr_HH = tr H^2, H_gg = sum_i H_ii g_i^2, H_ii2 = sum_i H_ii^2.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import sympy

d, p, kept = sympy.symbols("d p kept", real=True)
g2, gHg, gHHg, tr_H, tr_HH, H_gg, H_ii2 = sympy.symbols("g2 gHg gHHg tr_H tr_HH H_gg H_ii2", real=True)
ALONG_G = (g2, gHg, gHHg)  # g^T H^k g
TRACES = (d, tr_H, tr_HH)  # tr H^k
SAME_INDEX = {"11": d, "1H": tr_H, "HH": H_ii2, "1G": g2, "GH": H_gg}  # sum_i of the product of two diagonal entries


@dataclass(frozen=True)
class Law:
    """scale: E z_i^2.  pair, own: the two parts of the fourth moments."""

    scale: sympy.Expr
    pair: sympy.Expr
    own: sympy.Expr


ONE = sympy.Integer(1)
GAUSSIAN = Law(ONE, ONE, sympy.Integer(0))
SPHERE = Law(ONE, d / (d + 2), sympy.Integer(0))
RADEMACHER = Law(ONE, ONE, sympy.Integer(-2))
KEPT = Law(p, p**2, 3 * p * (1 - p))
KEPT_COUNT = Law(kept / d, kept * (kept - 1) / (d * (d - 1)), 3 * (kept / d - kept * (kept - 1) / (d * (d - 1))))


def mean(law: Law, form: str) -> sympy.Expr:
    """E of a form with one or two letters: "G1" is E (z^T g)^2 |z|^2."""
    if len(form) == 1:
        return law.scale * _trace(form)
    return law.pair * gaussian_mean(form) + law.own * SAME_INDEX["".join(sorted(form))]


def gaussian_mean(form: str) -> sympy.Expr:
    """E of a form with any number of letters, for z ~ N(0, I): the sum over all pairings of its slots."""
    return sympy.expand(sum(_value(form, pairing) for pairing in pairings(tuple(range(2 * len(form))))))


def pairings(slots: tuple[int, ...]) -> Iterator[dict[int, int]]:
    """Every way to join the slots two and two, as a map from a slot to its partner: 1, 3, 15, 105 ways."""
    if not slots:
        yield {}
        return
    first, *others = slots
    for other in others:
        for rest in pairings(tuple(slot for slot in others if slot != other)):
            yield {first: other, other: first, **rest}


def _value(form: str, partner: dict[int, int]) -> sympy.Expr:
    """The product of the traces of the cycles; letter k has the slots 2 k and 2 k + 1."""
    left, value = set(range(len(form))), ONE
    while left:
        slot, word = 2 * min(left), ""
        while slot // 2 in left:
            left.discard(slot // 2)
            word += form[slot // 2]
            slot = partner[slot ^ 1]  # out at the other slot of the letter, and on to its partner
        value *= _trace(word)
    return value


def _trace(word: str) -> sympy.Expr:
    """tr of the product of the letters; between two G stands g^T H^k g."""
    cut = word.find("G")
    if cut < 0:
        return TRACES[word.count("H")]
    parts = (word[cut + 1 :] + word[:cut]).split("G")
    return sympy.prod(ALONG_G[part.count("H")] for part in parts)
