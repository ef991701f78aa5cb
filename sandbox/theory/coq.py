"""Certificates as theorems of Coq, whose kernel is independent of sympy and z3.

    theorem(certificate)     the text of one theorem with its proof
    document(several)        a file with all of them; `Print Assumptions` after each says on which axioms it rests
    compiled(text, folder)   what coqc said; raises NoCoq where there is no coqc

The statement is that of the certificate with all denominators cleared. Vectors are real variables for their inner products, dot_u_v
for <u, v>, and all that is assumed of them is that their Gram matrix is positive semidefinite: for all real at_u, sum at_u at_v <u, v>
>= 0. So it holds in every Hilbert space. Only the axioms of Coq's real numbers may be used (AXIOMS).

The proof written for Coq names every sign and every product; Coq has to find signs of factors (`nra`) and to add up (`lra`).
"""

import re
import shutil
import subprocess
from collections.abc import Iterable
from itertools import combinations_with_replacement
from pathlib import Path

import sympy

from sandbox.theory.certificate import Certificate, Identity, counterexample
from sandbox.theory.coq_induction import by_induction
from sandbox.theory.coq_terms import in_products, inner, named, relation, term
from sandbox.theory.induction import Induction

Proved = Certificate | Identity | Induction

AXIOMS = {
    "ClassicalDedekindReals.sig_not_dec",
    "ClassicalDedekindReals.sig_forall_dec",
    "FunctionalExtensionality.functional_extensionality_dep",
}
HEAD = "Require Import Reals Psatz.\nOpen Scope R_scope.\n"


class NoCoq(RuntimeError):
    """There is no coqc on this machine."""


def theorem(one: Proved) -> str:
    """Raises ValueError where it is not polynomial, or where no common denominator has one sign on the domain."""
    if isinstance(one, Induction):
        return ("" if one.relation == "=" else theorem(one.step)) + by_induction(one)
    return _identity(one) if isinstance(one, Identity) else _Cleared(one).theorem()


def document(several: Iterable[Proved]) -> str:
    return HEAD + "".join(f"\n{theorem(one)}Print Assumptions {name_of(one)}.\n" for one in several)


def name_of(one: Proved) -> str:
    return re.sub(r"\W", "_", one.name)


def compiled(text: str, folder: Path, *, name: str = "certificates", seconds: float = 300.0) -> str:
    """What coqc said of `text`, as folder/name.v, with the axioms that each theorem uses.

    Raises NoCoq where coqc is not installed, ValueError where a theorem fails or rests on anything but the axioms of the reals.
    """
    file = folder / f"{name}.v"
    file.write_text(text)
    coqc = shutil.which("coqc")
    if coqc is None:
        raise NoCoq(f"coqc was not found, so nobody checks {file.name}; install the Debian package coq")
    done = subprocess.run([coqc, "-q", file.name], cwd=folder, capture_output=True, text=True, timeout=seconds)
    if done.returncode:
        raise ValueError(f"coqc refuses {file}: {done.stderr.strip()[-1500:]}")
    used = set(re.findall(r"^([\w.]+)\s*:", done.stdout, re.M)) - {"Axioms"}
    if used - AXIOMS:
        raise ValueError(f"{file} rests on {sorted(used - AXIOMS)}, beside the axioms of the real numbers")
    return done.stdout


def _identity(one: Identity) -> str:
    (a, b), (c, d) = (sympy.fraction(sympy.together(side)) for side in (one.left, one.right))
    left, right = term(sympy.sympify(a * d)), term(sympy.sympify(c * b))
    symbols = sorted((a * d - c * b).free_symbols | (a * d).free_symbols | (c * b).free_symbols, key=str)
    forall = f"forall {' '.join(map(named, symbols))} : R, " if symbols else ""
    return f"Theorem {name_of(one)} : {forall}{left} = {right}.\nProof. intros; ring. Qed.\n"


class _Cleared:
    """A certificate multiplied by one positive polynomial, so that no denominator is left."""

    def __init__(self, one: Certificate) -> None:
        self.one, self.vectors = one, one.vectors
        self.signs: list[sympy.Expr] = []  # polynomials that are >= 0 on the domain, each a lemma
        positive = [s for s in sorted(_symbols(one), key=str) if s.is_positive and s not in one.vectors]
        self.domain = [r for r in one.domain if r is not sympy.true] + [sympy.StrictGreaterThan(s, 0, evaluate=False) for s in positive]
        Qs = [(factor, *sympy.fraction(sympy.together(Q))) for factor, Q in one.hypotheses]
        Qs = [(factor / self._oriented(d), n * self._oriented(d) / d, d) for factor, n, d in Qs]
        forms = [(weight, *sympy.fraction(sympy.together(form))) for weight, form in one.squares]
        squares = [(weight / d**2, n) for weight, n, d in forms]
        everything = [sympy.together(x) for x in (one.claim, *(f for f, _, _ in Qs), *(w for w, _ in squares))]
        self.scale = self._oriented(sympy.lcm_list([sympy.fraction(x)[1] for x in everything] or [sympy.Integer(1)]))
        self.claim = sympy.cancel(one.claim * self.scale)
        self.hypotheses = [(sympy.factor(sympy.cancel(f * self.scale)), sympy.cancel(Q)) for f, Q, _ in Qs]
        self.squares = [(sympy.factor(sympy.cancel(w * self.scale)), sympy.expand(form)) for w, form in squares]

    def _oriented(self, denominator: sympy.Expr) -> sympy.Expr:
        """The denominator or its negative, whichever is > 0 on the domain."""
        for sign in (1, -1):
            if counterexample(sign * denominator, self.domain) is None:
                return sign * denominator
        raise ValueError(f"{self.one.name}: the denominator {denominator} changes its sign on {self.domain}")

    def theorem(self) -> str:
        steps = self._steps()  # fills self.signs
        end = "  lra." if steps else "  nra."
        return "\n".join([*self._lemmas(), *self._statement(), *steps, end, "Qed.", ""])

    def _statement(self) -> list[str]:
        claim, Qs = in_products(self.claim, self.vectors), [in_products(Q, self.vectors) for _, Q in self.hypotheses]
        used = claim.free_symbols.union(*(Q.free_symbols for Q in Qs), _symbols(self.one)) - set(self.vectors)
        used |= {inner(u, v) for u, v in combinations_with_replacement(self.vectors, 2)}
        lines = [f"Theorem {name_of(self.one)} : {_forall(used)}"]
        lines += [f"  {relation(r)} ->" for r in self.domain] + self._semidefinite()
        lines += [f"  {term(Q)} <= 0 ->" for Q in Qs] + [f"  0 <= {term(claim)}."]
        names = [f"D{i}" for i in range(len(self.domain))] + ["G"] * bool(self.vectors) + [f"Q{i}" for i in range(len(Qs))]
        variables = [named(symbol) for symbol in sorted(used, key=str)]  # by name: `intros *` stops at one that cancels
        return [*lines, "Proof.", f"  intros {' '.join((*variables, *names))}."]

    def _semidefinite(self) -> list[str]:
        if not self.vectors:
            return []
        x = {v: sympy.Symbol(f"at_{v.name}") for v in self.vectors}
        total = sum(x[u] * x[v] * inner(u, v) for u in self.vectors for v in self.vectors)
        return [f"  (forall {' '.join(named(x[v]) for v in self.vectors)} : R, 0 <= {term(sympy.expand(total))}) ->"]

    def _steps(self) -> list[str]:
        """Every product of a nonnegative number with something nonnegative, by name."""
        lines = []
        for i, (factor, Q) in enumerate(self.hypotheses):
            lines += self._nonnegative(f"F{i}", factor)
            lines += [f"  assert (N{i} : 0 <= - {term(in_products(Q, self.vectors))}) by lra."]
            lines += [f"  pose proof (Rmult_le_pos _ _ F{i} N{i}) as M{i}."]
        for j, (weight, form) in enumerate(self.squares):
            lines += self._nonnegative(f"W{j}", weight)
            at = " ".join(term(sympy.expand(form.coeff(v))) for v in self.vectors)
            square = f"(G {at})" if self.vectors else f"(pow2_ge_0 {term(form)})"
            lines += [f"  pose proof (Rmult_le_pos _ _ W{j} {square}) as S{j}."]
        return lines

    def _nonnegative(self, name: str, number: sympy.Expr) -> list[str]:
        """The fact `name`, 0 <= number, from its factors; a product of factors without a sign of their own is one factor."""
        constant, factors = sympy.factor_list(number)
        facts, rest = [], sympy.Integer(1)
        for factor, power in factors:
            sign = self._sign(factor)
            constant *= sign**power if sign else 1
            if sign:
                facts.append(f"(pow_le _ {power} {self._lemma(sign * factor)})")
            elif power % 2 == 0:
                facts.append(f"(pow2_ge_0 ({term(factor)} ^ {power // 2}))")
            else:
                rest *= factor**power
        if constant < 0:
            constant, rest = -constant, -rest
        if rest != 1:
            facts.append(self._lemma(sympy.expand(rest)))
        lines = [f"  assert ({name} : 0 <= {term(constant)}) by lra."]
        return lines + [
            f"  pose proof (Rmult_le_pos _ _ {name} {fact}) as {name}_; clear {name}; rename {name}_ into {name}." for fact in facts
        ]

    def _sign(self, factor: sympy.Expr) -> int:
        """1 or -1 where the factor has this sign all over the domain, else 0."""
        return next((sign for sign in (1, -1) if counterexample(sign * factor, self.domain) is None), 0)

    def _lemma(self, factor: sympy.Expr) -> str:
        """The proof of 0 <= factor, by a lemma of its own."""
        if factor not in self.signs:
            self.signs.append(factor)
        numbers = " ".join(map(named, self._parameters()))
        given = " ".join(f"D{i}" for i in range(len(self.domain)))
        return f"({name_of(self.one)}_sign_{self.signs.index(factor)} {numbers} {given})"

    def _lemmas(self) -> list[str]:
        dom = "".join(f"{relation(r)} -> " for r in self.domain)
        return [
            f"Lemma {name_of(self.one)}_sign_{k} : {_forall(self._parameters())} {dom}0 <= {term(sympy.expand(factor))}.\n"
            "Proof. intros; nra. Qed."
            for k, factor in enumerate(self.signs)
        ]

    def _parameters(self) -> list[sympy.Symbol]:
        """The symbols of domain, multipliers and weights."""
        numbers = [number for number, _ in (*self.hypotheses, *self.squares)]
        return sorted(set().union(*(sympy.sympify(x).free_symbols for x in (*numbers, *self.domain))), key=str)


def _forall(symbols: Iterable[sympy.Symbol]) -> str:
    names = [named(s) for s in sorted(symbols, key=str)]
    return f"forall {' '.join(names)} : R," if names else ""


def _symbols(one: Certificate) -> set[sympy.Symbol]:
    parts = [one.claim, *(x for pair in (*one.hypotheses, *one.squares) for x in pair), *one.domain]
    return set().union(*(sympy.sympify(part).free_symbols for part in parts))
