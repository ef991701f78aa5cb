"""Proofs by induction over a natural number, from one weighted sum: the step from n to n + 1.

    Induction(name, claim, index=n, sequences=((now, start, after), ...), factor=.., hypotheses=.., squares=..)

A sequence is a symbol `now` for its n-th number, its 0-th number, and the next one as an expression of what there is at n; `after` is
a symbol of its own where nothing is known of the next one but the hypotheses. Powers are sequences: (x, 1, rho * x) is rho^n. So
are sums: (total, 0, total + term). The claim, a polynomial, then holds for every n because it holds at n = 0 and

    claim at n + 1  +  sum_i multiplier_i Q_i  =  factor * claim at n  +  sum_j weight_j form_j^2

with factor, multipliers and weights >= 0 on the domain and what `always` says of the sequences at every n, and Q_i <= 0 at every n.
For the relation "=" every Q_i is 0, and no sign matters.
"""

from dataclasses import dataclass
from typing import Literal

import sympy

from sandbox.theory.certificate import Certificate, Refuted, counterexample, is_zero

Weighted = tuple[tuple[sympy.Expr, sympy.Expr], ...]
TERM = sympy.Symbol("term", real=True)  # of a sum, in `adding_up`


@dataclass(frozen=True)
class Induction:
    """claim >= 0, or = 0, for n = 0, 1, 2, ... on `domain`, relations of the parameters."""

    name: str
    claim: sympy.Expr
    index: sympy.Symbol
    sequences: tuple[tuple[sympy.Symbol, sympy.Expr, sympy.Expr], ...]
    factor: sympy.Expr = sympy.Integer(1)
    hypotheses: Weighted = ()
    squares: Weighted = ()
    domain: tuple[sympy.Basic, ...] = ()
    always: tuple[sympy.Basic, ...] = ()
    relation: Literal[">=", "="] = ">="

    @property
    def first(self) -> sympy.Expr:
        """The claim at n = 0."""
        return self.claim.subs({self.index: 0, **{now: start for now, start, _ in self.sequences}}, simultaneous=True)

    @property
    def after(self) -> sympy.Expr:
        """The claim at n + 1, in terms of what there is at n."""
        return self.claim.subs({self.index: self.index + 1, **{now: after for now, _, after in self.sequences}}, simultaneous=True)

    @property
    def step(self) -> Certificate:
        return Certificate(
            name=f"{self.name}_step",
            claim=sympy.expand(self.after),
            hypotheses=((self.factor, sympy.expand(-self.claim)), *self.hypotheses),
            squares=self.squares,
            domain=(*self.domain, self.index >= 0, *self.always),
        )

    def is_free(self, after: sympy.Expr) -> bool:
        """Whether nothing but the hypotheses says what comes next."""
        elsewhere = [self.claim, *self.domain, *(x for now, start, _ in self.sequences for x in (now, start)), self.index]
        return after.is_Symbol and not any(after in expr.free_symbols for expr in elsewhere)

    def check(self) -> None:
        """Raises Refuted where start, sum or signs are wrong, ValueError for what is no statement about all n: floats, denominators,
        symbols of steps that are taken positive or bounded by the domain, and sequences that share a symbol.
        """
        self._require_symbols()
        self._require_polynomials()
        if self.relation == "=":
            self._check_equality()
        elif counterexample(self.first, self.domain) is not None:
            raise Refuted(f"{self.name}: at {self.index} = 0 the claim is {self.first}, which is negative somewhere on {list(self.domain)}")
        else:
            self.step.check()

    def _require_symbols(self) -> None:
        given = [symbol for symbol, _, _ in self.sequences] + [self.index]
        given += [after for _, _, after in self.sequences if self.is_free(after)]
        if len({symbol.name for symbol in given}) < len(given):
            raise ValueError(f"{self.name}: every sequence must have symbols of its own, got {sorted(map(str, given))}")
        if any(symbol.is_positive for symbol in given):
            raise ValueError(
                f"{self.name}: {sorted(map(str, given))} must be plain real symbols, what is positive must follow from the claim"
            )
        bounded = set().union(*(sympy.sympify(relation).free_symbols for relation in self.domain)) & set(given)
        if bounded:
            raise ValueError(
                f"{self.name}: the domain is of parameters, and {sorted(map(str, bounded))} change from step to step; "
                "what holds of them at every n stands in `always`"
            )

    def _require_polynomials(self) -> None:
        exprs = [self.claim, *(expr for sequence in self.sequences for expr in sequence[1:])]
        if self.relation == "=":  # a certificate looks for poles itself
            exprs += [self.factor, *(expr for pair in self.hypotheses for expr in pair)]
        for expr in exprs:
            if sympy.fraction(sympy.together(expr))[1].free_symbols:
                raise ValueError(f"{self.name}: {expr} must be a polynomial, because the next step multiplies by its denominators")

    def _check_equality(self) -> None:
        off = self.after - self.factor * self.claim + sum((factor * Q for factor, Q in self.hypotheses), sympy.Integer(0))
        if self.squares or not is_zero(self.first) or not is_zero(off):
            raise Refuted(f"{self.name}: at {self.index} = 0 the claim is {self.first}, and the step is off by {sympy.factor(off)}")


def adding_up(name: str, cost: sympy.Expr, price: sympy.Expr, extra: sympy.Expr = sympy.S.Zero) -> Induction:
    """cost * term_k <= price (loss_k - loss_(k+1)) + extra at every step, so cost * their sum <= price (loss_0 - loss_K) + K extra."""
    K, total, first, coming, start, loss, after = sympy.symbols("count total term_0 term_next loss_0 loss loss_next", real=True)
    return Induction(
        name,
        claim=price * (start - loss) + K * extra - cost * total,
        index=K,
        sequences=((loss, start, after), (total, sympy.Integer(0), total + TERM), (TERM, first, coming)),
        hypotheses=((sympy.Integer(1), cost * TERM - price * (loss - after) - extra),),
    )
