"""Certificates of proof files: collected, written for Coq one file each, and refused where they are none."""

import shutil

import pytest

from sandbox.ledger.proof_guard import idle_steps
from sandbox.ledger.proofs import Proof
from sandbox.ledger.second_kernel import asked, certificates

HEAD = "import sympy\nfrom sandbox.theory.certificate import Certificate, Identity\n\nx = sympy.Symbol('x')\n"
with_coq = pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc was not found; the Debian package coq brings it")


@pytest.fixture
def proof(tmp_path):
    """Writes a proof file with these CERTIFICATES; returns the record of it."""
    (tmp_path / "proofs").mkdir()

    def write(held):
        (tmp_path / "proofs" / "proof_toy.py").write_text(f"{HEAD}CERTIFICATES = {held}\n")
        return Proof("toy", "proofs/proof_toy.py", ())

    return write


def test_a_file_without_certificates_asks_nothing(proof, tmp_path):
    assert asked(tmp_path, [proof("()")], tmp_path / "coq") == ()


def test_anything_else_and_a_name_used_twice_are_refused(proof, tmp_path):
    proof("(x + 1,)")
    with pytest.raises(TypeError, match="must hold Certificate, Identity and Induction, got Add"):
        certificates(tmp_path / "proofs" / "proof_toy.py")
    proof("(Identity('a', x, x), Identity('a', x, x))")
    with pytest.raises(ValueError, match="must have names of their own, got \\['a', 'a'\\]"):
        certificates(tmp_path / "proofs" / "proof_toy.py")


@with_coq
def test_what_coq_says_is_told(proof, tmp_path):
    (good,) = asked(tmp_path, [proof("(Identity('a', x + x, 2 * x), Identity('b', x, x))")], tmp_path / "coq")
    assert str(good) == "coq: toy: 2 theorems proved" and (tmp_path / "coq" / "proof_toy.v").is_file()
    (bad,) = asked(tmp_path, [proof("(Identity('a', x + x, 3 * x),)")], tmp_path / "coq")
    assert bad.status == "failed" and str(bad).startswith("coq: toy: 1 theorem failed: coqc refuses")


def test_a_certificate_that_cannot_be_written_is_a_failure_and_not_a_crash(proof, tmp_path):
    (bad,) = asked(tmp_path, [proof("(Identity('a', sympy.sqrt(x), sympy.sqrt(x)),)")], tmp_path / "coq")
    assert bad.status == "failed" and "polynomials with rational coefficients" in bad.said


def test_a_step_is_idle_unless_it_asserts_somewhere():
    source = (
        "def holds():\n    assert 1 < 2\n\n\ndef step_1():\n    holds()\n\n\ndef step_2():\n    one.check()\n\n\n"
        "def step_3():\n    return 1\n\n\ndef step_4():\n    assert True\n\n\ndef step_5():\n    assert (1 > 2, 'a tuple is true')\n"
    )
    assert idle_steps(source) == ["step_3", "step_4", "step_5"]
    assert idle_steps("x = 1\n") == ["no function step_..."]
