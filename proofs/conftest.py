"""A proof file whose steps assert nothing fails here, before anything runs."""

from sandbox.ledger.proof_guard import pytest_pycollect_makemodule  # noqa: F401
