"""Inductions as theorems of Coq, over its natural numbers: sequences are functions of them.

The step of an inequality is a theorem of its own (a certificate, `<name>_step`); that of an equality is one of rings.
"""

import re

import sympy

from sandbox.theory.coq_terms import named, relation, term
from sandbox.theory.induction import Induction


def by_induction(one: Induction) -> str:
    """Raises ValueError for what is no polynomial."""
    return _Text(one).theorem()


class _Text:
    def __init__(self, one: Induction) -> None:
        self.one = one
        self.known = [(i, now, after) for i, (now, _, after) in enumerate(one.sequences) if not self.one.is_free(after)]
        self.parameters = sorted(self._symbols() - self._of_steps(), key=str)
        positive = [sympy.StrictGreaterThan(s, 0, evaluate=False) for s in self.parameters if s.is_positive]
        self.domain = [*one.domain, *positive]
        self.step_symbols = sorted(self._symbols_of_step(), key=str)

    def _of_steps(self) -> set[sympy.Symbol]:
        free = {after for _, _, after in self.one.sequences if self.one.is_free(after)}
        return free | {now for now, _, _ in self.one.sequences} | {self.one.index}

    def _symbols(self) -> set[sympy.Symbol]:
        one = self.one
        pairs = (x for pair in (*one.hypotheses, *one.squares) for x in pair)
        parts = (one.claim, one.factor, *one.domain, *one.always, *pairs, *(x for sequence in one.sequences for x in sequence))
        return set().union(*(sympy.sympify(part).free_symbols for part in parts))

    def _symbols_of_step(self) -> set[sympy.Symbol]:
        step = self.one.step
        parts = (step.claim, *step.domain, *(x for pair in (*step.hypotheses, *step.squares) for x in pair))
        return set().union(*(sympy.sympify(part).free_symbols for part in parts))

    def _at(self, text: str, n: str) -> str:
        """With the index and the sequences at the natural number n, free ones also at the next."""
        texts = {named(self.one.index): f"(INR {n})"}
        for now, _, after in self.one.sequences:
            texts[named(now)] = f"({named(now)} {n})"
            if self.one.is_free(after):
                texts[named(after)] = f"({named(now)} (S {n}))"
        return re.sub(r"\b\w+_\b", lambda found: texts.get(found[0], found[0]), text)

    def _term(self, expr: sympy.Expr) -> str:
        return self._at(term(sympy.expand(sympy.sympify(expr))), "n")

    def theorem(self) -> str:
        equal = self.one.relation == "="
        starts = [f"{named(now)} 0%nat = {term(sympy.expand(start))}" for now, start, _ in self.one.sequences]
        nexts = [f"(forall n : nat, {named(now)} (S n) = {self._term(after)})" for _, now, after in self.known]
        Qs = [f"(forall n : nat, {self._term(Q)} {'=' if equal else '<='} 0)" for _, Q in self.one.hypotheses]
        facts = [f"(forall n : nat, {self._at(relation(r), 'n')})" for r in self.one.always]
        numbers = f"({' '.join(map(named, self.parameters))} : R) " if self.parameters else ""
        claim = f"{self._term(self.one.claim)} = 0" if equal else f"0 <= {self._term(self.one.claim)}"
        lines = [f"Theorem {self.one.name} : forall {numbers}({' '.join(named(now) for now, _, _ in self.one.sequences)} : nat -> R),"]
        lines += [f"  {text} ->" for text in (*map(relation, self.domain), *starts, *nexts, *Qs, *facts)]
        given = [*map(named, self.parameters), *(named(now) for now, _, _ in self.one.sequences)]
        given += [f"D{i}" for i in range(len(self.domain))] + [f"B{i}" for i in range(len(starts))]
        given += [f"A{i}" for i in range(len(nexts))] + [f"Q{i}" for i in range(len(Qs))]
        given += [f"E{i}" for i in range(len(facts))]
        lines += [f"  forall n : nat, {claim}.", "Proof.", f"  intros {' '.join(given)} n. induction n as [|n IH]."]
        first = "".join(f"rewrite ?B{i}. " for i in range(len(starts)))
        lines += [f"  - {first}change (INR 0) with 0. {'ring' if equal else 'nra'}."]
        rewritten = "".join(f"rewrite ?A{i}. " for i in range(len(nexts))) + "rewrite ?S_INR."
        lines += [f"  - {rewritten}", *(self._equal() if equal else self._at_least())]
        return "\n".join([*lines, "Qed.", ""])

    def _equal(self) -> list[str]:
        parts = [(self.one.factor, self.one.claim), *((-factor, Q) for factor, Q in self.one.hypotheses)]
        total = " + ".join(f"({self._term(factor)}) * ({self._term(expr)})" for factor, expr in parts)
        known = "".join(f", (Q{i} n)" for i in range(len(self.one.hypotheses)))
        return [f"    transitivity ({total}).", f"    + ring.\n    + rewrite IH{known}. ring."]

    def _at_least(self) -> list[str]:
        arguments = " ".join(self._at(named(symbol), "n") for symbol in self.step_symbols)
        facts = "".join(f"pose proof (Q{i} n) as R{i}. " for i in range(len(self.one.hypotheses)))
        facts += "".join(f"pose proof (E{i} n) as T{i}. " for i in range(len(self.one.always)))
        return [
            f"    pose proof (pos_INR n) as P. {facts}",
            f"    pose proof ({self.one.name}_step {arguments}) as H.",
            "    repeat match type of H with ?A -> _ => let E := fresh in assert (E : A) by lra; specialize (H E); clear E end.",
            "    lra.",
        ]
