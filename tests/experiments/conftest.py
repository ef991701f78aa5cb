"""What the tests of all experiment files share: the modules, the claims, and judging a claim anew without store and workers."""

from dataclasses import replace

import pytest

from sandbox.fit import Sample
from sandbox.ledger import judging
from sandbox.ledger.loading import has_claims, load
from sandbox.ledger.result import combined


@pytest.fixture(scope="session")
def module(root):
    """Every experiments/*.py that has CLAIMS, by stem."""
    return {file.stem: load(file) for file in sorted((root / "experiments").glob("*.py")) if has_claims(file)}


@pytest.fixture(scope="session")
def claim(module):
    """Every claim, by id."""
    return {one.id: one for file in module.values() for one in file.CLAIMS}


def _verdict_of(claim, setting, seeds):
    samples = [Sample(seed, row) for seed, row in zip(seeds, claim.measure(setting, tuple(seeds)), strict=True)]
    return judging.verdict_of(replace(claim, scope=None), setting, samples)


def _rejudged(claim, *, settings=(), seeds=()):
    return combined([_verdict_of(claim, setting, seeds or claim.plan.seeds).outcome for setting in settings or claim.plan.settings])


@pytest.fixture(scope="session")
def verdict_of():
    """verdict_of(claim, setting, seeds): the flow of the ledger for one setting, from rows measured now.

    A claim's own `scope` is left out, so that tests can show what would be said where it forbids to ask.
    """
    return _verdict_of


@pytest.fixture(scope="session")
def rejudged():
    """rejudged(claim, settings=(), seeds=()): the outcome of a Grid claim, at its own settings and seeds or at these."""
    return _rejudged
