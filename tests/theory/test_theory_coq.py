"""The second kernel: what every proof file certifies is written down for Coq, and Coq agrees; planted faults it refuses.

Without coqc the kernel itself is skipped; what is written for it is checked all the same.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import sympy

from sandbox.ledger.second_kernel import certificates
from sandbox.theory.certificate import Certificate, Identity, Refuted
from sandbox.theory.coq import NoCoq, compiled, document, in_products, inner, term, theorem

ROOT = Path(__file__).resolve().parents[2]
HELD = {path: held for path in sorted((ROOT / "proofs").glob("proof_*.py")) if (held := certificates(path))}
with_coq = pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc was not found; the Debian package coq brings it")
t, x, y, f = sympy.symbols("t x y f", real=True)
half = sympy.Rational(1, 2)
square = Certificate(
    name="square",
    claim=t * (x**2 + y**2) + f,
    hypotheses=((sympy.Integer(1) / t, -t * f - 2 * t**2 * x * y),),
    squares=((t, x - y),),
    vectors=(x, y),
    domain=(t > 0,),
)


@pytest.mark.parametrize("path", HELD, ids=lambda path: path.stem)
def test_every_certificate_holds_and_is_written_for_coq(path):
    for one in HELD[path]:
        one.check()
        assert theorem(one).rstrip().endswith("Qed.")


@with_coq
@pytest.mark.parametrize("path", HELD, ids=lambda path: path.stem)
def test_coq_proves_what_the_proof_files_certify(path, tmp_path):
    said = compiled(document(HELD[path]), tmp_path)
    assert said.count("Axioms:") + said.count("Closed under the global context") == len(HELD[path])


def test_the_weighted_sum_of_this_file_holds():
    square.check()
    assert in_products(square.claim, (x, y)) == t * inner(x, x) + t * inner(y, y) + f


MUTANTS = {
    "a smaller constant": replace(square, claim=square.claim - x**2 / 1000),
    "a weight of the wrong sign": replace(square, claim=-square.claim + 2 * f, squares=((-t, x - y),), hypotheses=()),
    "a wider domain": replace(square, domain=(t > -1,)),
    "a dropped inequality": replace(square, hypotheses=()),
    "a dropped square": replace(square, squares=()),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_fault_is_refuted(name):
    with pytest.raises(Refuted, match="square"):
        MUTANTS[name].check()


@with_coq
@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_fault_is_refused_by_coq(name, tmp_path):
    with pytest.raises(ValueError, match="coqc refuses|negative on|changes its sign"):
        compiled(document([MUTANTS[name]]), tmp_path)


@with_coq
def test_coq_agrees_with_the_example_and_an_axiom_of_ones_own_does_not_pass(tmp_path):
    assert "square" not in compiled(document([square, Identity("twice", x + x, 2 * x)]), tmp_path)
    text = (
        document([square])
        .replace("Lemma square_sign_0", "Axiom easy : 0 < 0.\nLemma square_sign_0")
        .replace("  lra.\nQed.", "  pose proof easy; lra.\nQed.")
    )
    with pytest.raises(ValueError, match=r"rests on \['easy'\]"):
        compiled(text, tmp_path)


@with_coq
def test_coq_refuses_an_identity_that_is_none(tmp_path):
    compiled(document([Identity("ratio", 1 / (x + y) - 1 / (x - y), -2 * y / (x**2 - y**2))]), tmp_path)
    wrong = Identity("wrong", (x + y) ** 2, x**2 + sympy.Rational(1999, 1000) * x * y + y**2)
    with pytest.raises(ValueError, match="coqc refuses"):
        compiled(document([wrong]), tmp_path)
    with pytest.raises(Refuted, match="wrong"):
        wrong.check()


def test_only_polynomials_with_rational_coefficients_are_written():
    assert term(half * x**2 - 1) == "((-1) + ((1 / 2) * (x_ ^ 2)))"
    for bad in (sympy.sqrt(2) * x, x * 0.5, 1 / x, sympy.exp(x)):
        with pytest.raises(ValueError, match="polynomials with rational coefficients"):
            term(bad)


def test_a_form_of_odd_degree_in_vectors_is_refused():
    odd = Certificate("odd", claim=x + x**2, squares=((sympy.Integer(1), x),), hypotheses=((sympy.Integer(1), -x),), vectors=(x,))
    with pytest.raises(Refuted, match="degree"):
        odd.check()
    with pytest.raises(ValueError, match="degree 0 or 2"):
        theorem(odd)


def test_positive_symbols_are_assumed_positive_in_coq_too():
    p = sympy.Symbol("p", positive=True)
    assert "p_ > 0 ->" in theorem(Certificate("positive", claim=p * x**2, squares=((p, x),), vectors=(x,)))


def test_without_coqc_it_says_so_and_leaves_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoCoq, match="coqc was not found"):
        compiled(document([square]), tmp_path)
    assert "Theorem square" in (tmp_path / "certificates.v").read_text()


@with_coq
def test_a_variable_that_cancels_is_no_obstacle(tmp_path):
    gone = Certificate("gone", claim=t * f**2 + x - x * (1 + f) + f * x, squares=((t, f),), domain=(t > 0,))
    assert "forall f_ t_ x_ : R" in theorem(gone) and "x_)" not in theorem(gone)
    assert compiled(document([gone]), tmp_path)
