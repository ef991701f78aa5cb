"""What a machine-checked proof needs: exact identities, signs on a domain, and the inequality of smooth functions.

Vectors are written as commuting scalar symbols: g0**2 stands for |g0|^2 and g0*g1 for <g0, g1>. An identity between
quadratic forms in inner products holds coefficient by coefficient, so what is checked for scalars holds in every
Hilbert space.

Exact numbers only: a sympy.Float anywhere is an error, because an identity that holds to 15 digits is not an identity.

A `Certificate` is a weighted sum that another kernel can check again (`sandbox.theory.coq`):

    claim + sum_i multiplier_i Q_i  =  sum_j weight_j form_j^2,     multipliers and weights >= 0, every Q_i <= 0,  so claim >= 0
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sympy


class Refuted(AssertionError):
    """An identity or a sign that a certificate asserts does not hold."""


@dataclass(frozen=True)
class Identity:
    """left = right wherever no denominator is 0: rational functions of any symbols."""

    name: str
    left: sympy.Expr
    right: sympy.Expr

    def check(self) -> None:
        """Raises Refuted where it is not an identity, ValueError where it holds floats."""
        refuse_floats(sympy.Tuple(self.left, self.right))
        if not is_zero(self.left - self.right):
            raise Refuted(f"{self.name}: {self.left} and {self.right} differ by {sympy.factor(self.left - self.right)}")


@dataclass(frozen=True)
class Certificate:
    """claim >= 0 on `domain` wherever every Q <= 0; hypotheses: (multiplier, Q), squares: (weight, form).

    vectors: the symbols that stand for vectors, of which claim and Q are quadratic and forms linear. domain: polynomial relations
    of the parameters, the only symbols of multipliers and weights, which it must keep >= 0 and their denominators off 0.
    """

    name: str
    claim: sympy.Expr
    hypotheses: tuple[tuple[sympy.Expr, sympy.Expr], ...] = ()
    squares: tuple[tuple[sympy.Expr, sympy.Expr], ...] = ()
    vectors: tuple[sympy.Symbol, ...] = ()
    domain: tuple[sympy.Basic, ...] = ()

    @property
    def remainder(self) -> sympy.Expr:
        """0 where the weighted sum is right."""
        left = self.claim + sum((factor * Q for factor, Q in self.hypotheses), sympy.Integer(0))
        return left - sum((weight * form**2 for weight, form in self.squares), sympy.Integer(0))

    def check(self) -> None:
        """Raises Refuted where the sum, a sign or a degree is wrong, ValueError for floats and for an empty domain."""
        if not is_zero(self.remainder):
            raise Refuted(f"{self.name}: the weighted sum is off by {sympy.factor(self.remainder)}")
        for number in (sympy.sympify(number) for number, _ in (*self.hypotheses, *self.squares)):
            point = counterexample(number, self.domain)
            pole = root(sympy.fraction(sympy.together(number))[1], self.domain) if point is None else None
            if point is not None or pole is not None:
                raise Refuted(f"{self.name}: {number} must be >= 0 and finite on {list(self.domain)}, and is not at {point or pole}")
        self._refuse_poles()
        forms = [(Q, {0, 2}) for Q in (self.claim, *(Q for _, Q in self.hypotheses))] + [(form, {1}) for _, form in self.squares]
        for expr, degrees in forms if self.vectors else ():
            if not {sum(powers) for powers in sympy.Poly(expr, *self.vectors).monoms()} <= degrees:
                raise Refuted(f"{self.name}: {expr} must be of degree {sorted(degrees)} in the vectors {list(self.vectors)}")

    def _refuse_poles(self) -> None:
        """Of claim, Q and form: there the sum says nothing, whatever it cancels to."""
        parts = (self.claim, *(Q for _, Q in self.hypotheses), *(form for _, form in self.squares))
        below = {factor for part in parts for factor, _ in sympy.factor_list(sympy.fraction(sympy.together(part))[1])[1]}
        for factor in sorted(below, key=str):
            if (pole := root(factor, self.domain)) is not None:
                raise Refuted(f"{self.name}: claim, Q and form must be finite on {list(self.domain)}, and 1 / ({factor}) is not at {pole}")


def refuse_floats(expr: sympy.Basic) -> None:
    """Raises ValueError where `expr` holds a floating-point number."""
    floats = expr.atoms(sympy.Float)
    if floats:
        raise ValueError(f"a proof needs exact numbers, got the floats {sorted(floats)} in {expr}; write Rational(p, q)")


def is_zero(expr: sympy.Expr) -> bool:
    """Whether a rational function is identically zero: its numerator over a common denominator expands to 0."""
    expr = sympy.sympify(expr)
    refuse_floats(expr)
    return sympy.expand(sympy.fraction(sympy.together(expr))[0]) == 0


def smooth_gap(
    upper: tuple[sympy.Expr, sympy.Expr, sympy.Expr], lower: tuple[sympy.Expr, sympy.Expr, sympy.Expr], L: sympy.Expr
) -> sympy.Expr:
    """Q with Q <= 0 for two points (x, gradient, value) of an L-smooth function, convex or not.

    f_low - f_up + <g_low, dx> + (|dg|^2 / L - L |dx|^2 + 2 <dg, dx>) / 4,  dx = x_up - x_low, dg = g_up - g_low.
    Source: Taylor, Hendrickx, Glineur (2017), Theorem 6 (number recalled), at mu = -L; derived where a proof uses it.
    """
    (x_up, g_up, f_up), (x_low, g_low, f_low) = upper, lower
    dx, dg = x_up - x_low, g_up - g_low
    return f_low - f_up + g_low * dx + (dg**2 / L - L * dx**2 + 2 * dg * dx) / 4


def counterexample(expr: sympy.Expr, domain: Iterable[sympy.Basic]) -> dict[str, str] | None:
    """None where `expr` >= 0 is proved on `domain` (z3, nonlinear real arithmetic), else a point where it is < 0.

    `expr` is a rational function, and its sign is asked where the denominator is not 0. Positive symbols count as such.
    Raises ValueError where z3 gives up, where two symbols have one name, and for an empty domain, on which everything would be proved.
    """
    refuse_floats(expr)
    env: dict = {}
    negative = _is_negative(expr, env)
    return _point(f"{expr} >= 0", expr, negative, domain, env)


def root(expr: sympy.Expr, domain: Iterable[sympy.Basic]) -> dict[str, str] | None:
    """None where the polynomial `expr` is proved to have no zero on `domain`, else a zero. Raises ValueError as `counterexample`."""
    env: dict = {}
    return _point(f"{expr} != 0", expr, [_z3(sympy.expand(expr), env) == 0], domain, env)


def _point(question: str, expr: sympy.Expr, wanted: list, domain: Iterable[sympy.Basic], env: dict) -> dict[str, str] | None:
    """A point of the domain with all that is wanted, if there is one."""
    import z3

    relations = [relation for relation in domain if relation is not sympy.true]
    refuse_floats(sympy.Tuple(expr, *relations))
    solver = z3.SolverFor("QF_NRA")
    solver.set("timeout", 20_000)
    for relation in (r for r in relations if r is not sympy.false):
        left, right = _z3(sympy.expand(relation.lhs), env), _z3(sympy.expand(relation.rhs), env)
        solver.add(_RELATIONS[type(relation)](left, right))
    _refuse_namesakes(env)
    solver.add(*(v > 0 for e, v in env.items() if e.is_positive))
    solver.add(*(v * v == _z3(e.base, env) for e, v in tuple(env.items()) if e.is_Pow))
    if sympy.false in relations or solver.check() == z3.unsat:
        raise ValueError(f"the domain {relations} is empty, so a proof on it would say nothing")
    answer = solver.check(*wanted)
    if answer == z3.unknown:
        raise ValueError(f"z3 could not decide {question} on {relations}: {solver.reason_unknown()}; split the domain")
    if answer == z3.unsat:
        return None
    return {str(d): str(solver.model()[d]) for d in solver.model().decls()} or {"any": "point"}  # an empty one would read as none


def _refuse_namesakes(env: dict) -> None:
    """Symbols that differ in their assumptions alone are two for sympy and one for z3."""
    names = [str(v) for v in env.values()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"symbols of one name must have the same assumptions, got {', '.join(twice)} with several; make it once")


def _is_negative(expr: sympy.Expr, env: dict) -> list:
    """z3 terms for numerator * denominator < 0, factor by factor: none is 0, and an odd number of them is negative."""
    import z3

    numerator, denominator = sympy.fraction(sympy.together(expr))
    constant, factors = sympy.factor_list(numerator * denominator)
    terms = [(_z3(factor, env), power) for factor, power in factors]
    odd = z3.BoolVal(bool(constant < 0))
    for term, power in terms:
        odd = z3.Xor(odd, term < 0) if power % 2 else odd
    return [odd, z3.BoolVal(constant != 0), *(term != 0 for term, _ in terms)]


_RELATIONS = {
    sympy.StrictGreaterThan: lambda left, right: left > right,
    sympy.GreaterThan: lambda left, right: left >= right,
    sympy.StrictLessThan: lambda left, right: left < right,
    sympy.LessThan: lambda left, right: left <= right,
}


def _z3(expr: sympy.Expr, env: dict):
    """The z3 term of a polynomial; a symbol, or a square root of a rational, becomes a real variable kept in `env`."""
    import z3

    if expr.is_Rational:
        return z3.RealVal(f"{expr.p}/{expr.q}")
    if expr.is_Symbol or (expr.is_Pow and expr.exp == sympy.Rational(1, 2) and expr.base.is_Rational):
        return env.setdefault(expr, z3.Real(f"sqrt{expr.base}" if expr.is_Pow else expr.name))
    if expr.is_Pow and expr.exp.is_Integer and expr.exp > 0:
        return z3.Product([_z3(expr.base, env)] * int(expr.exp))
    if expr.is_Add or expr.is_Mul:
        terms = [_z3(part, env) for part in expr.args]
        return z3.Sum(terms) if expr.is_Add else z3.Product(terms)
    raise ValueError(f"z3 is asked about polynomials only, got {expr}")
