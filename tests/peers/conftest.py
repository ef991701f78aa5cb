"""What the tests of the cross-checks share: a comparison is left out, with a sentence, where a package is not installed."""

import pytest

from tests.peers.theirs import package


@pytest.fixture
def need():
    """need(*modules): skips where one is missing; sandbox and torch are always there."""

    def check(*modules: str) -> None:
        for name in modules:
            if name in ("sandbox", "torch"):
                continue
            try:
                package(name)
            except ImportError as error:
                pytest.skip(f"a cross-check against {name}, which cannot be imported here ({error}): pip install -e .[peers]")

    return check
