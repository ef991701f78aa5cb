"""Haar matrices against their defining identity, their invariance and their first moments."""

import torch

from sandbox.draws import generator
from sandbox.problems.rotations import haar, with_spectrum


def test_is_orthogonal():
    Q = haar(7, generator(0))
    torch.testing.assert_close(Q.T @ Q, torch.eye(7, dtype=torch.float64), rtol=0, atol=1e-14)


def test_entries_have_mean_zero_and_the_trace_the_variance_of_the_haar_law():
    """E tr Q = 0 and E (tr Q)^2 = 1; QR without the signs of R has a mean trace far outside 5 sigma."""
    traces = torch.stack([haar(4, generator(k)).trace() for k in range(4000)])
    assert abs(traces.mean()) < 5 / 4000**0.5
    assert abs(traces.square().mean() - 1) < 5 * (2 / 4000) ** 0.5  # E (tr Q)^4 = 3 for d >= 4


def test_with_spectrum_is_symmetric_and_has_it():
    H = with_spectrum((-1.0, 0.5, 9.0), generator(1))
    assert torch.equal(H, H.T)
    expected = torch.tensor([-1.0, 0.5, 9.0], dtype=torch.float64)
    torch.testing.assert_close(torch.linalg.eigvalsh(H), expected, rtol=1e-13, atol=1e-13)
