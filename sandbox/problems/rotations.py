"""Random orthogonal matrices, uniform over the orthogonal group.

    Q R = G,  G_ij ~ N(0, 1),  diag(R) > 0        then Q has the Haar law

Source: F. Mezzadri (2007), "How to generate random matrices from the classical compact groups", section 5 (recalled):
without the sign of diag(R), Q depends on the signs that a QR routine happens to choose.
"""

import torch
from torch import Tensor

from sandbox.draws import normal


def haar(d: int, rng: torch.Generator) -> Tensor:
    """(d, d) orthogonal matrix with the Haar law, float64."""
    Q_dd, R_dd = torch.linalg.qr(normal((d, d), rng))
    return Q_dd * R_dd.diagonal().sign()


def with_spectrum(spectrum: tuple[float, ...], rng: torch.Generator) -> Tensor:
    """(d, d) symmetric matrix Q diag(spectrum) Q^T with Q from `haar`; symmetric to the last bit."""
    Q_dd = haar(len(spectrum), rng)
    H_dd = Q_dd @ (torch.tensor(spectrum, dtype=torch.float64)[:, None] * Q_dd.T)
    return (H_dd + H_dd.T) / 2
