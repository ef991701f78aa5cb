"""Spectra of tensors against eigenvalues that are known, by both ways."""

import numpy as np
import pytest
import torch

from sandbox.curvature.blockwise_spectra import tensor_spectra
from sandbox.curvature.heterogeneity import heterogeneity
from sandbox.draws import generator, normal

SIZES = {"small": 5, "large": 40}


def loss(params, batch):
    """Curvatures 1 ... n in a tensor of n entries, turned; the tensors are coupled, which their own Hessians do not see."""
    bends = sum(0.5 * (torch.arange(1, n + 1) * (turned(n) @ params[name]) ** 2).sum() for name, n in SIZES.items())
    return bends + params["small"].sum() * params["large"].sum() * batch.mean()


def turned(n: int) -> torch.Tensor:
    return torch.linalg.qr(normal((n, n), generator(n)))[0]


@pytest.fixture
def params():
    return {name: normal((n,), generator(n, 1)) for name, n in SIZES.items()}


def test_own_hessians_by_eigenvalues_and_by_lanczos(params):
    """40 steps on 40 rows: all eigenvalues are nodes (1e-8: Lanczos' own accuracy), and weights sum to 1."""
    batch = torch.ones(1)
    for dense in (64, 10, 0):
        found = tensor_spectra(loss, params, [batch], dense=dense, n_steps=40, n_probes=3)
        assert list(found) == list(SIZES)
        for name, n in SIZES.items():
            nodes = found[name].nodes.reshape(-1, n)
            assert len(nodes) == (1 if n <= dense else 3)
            np.testing.assert_allclose(nodes, np.tile(np.arange(1, n + 1), (len(nodes), 1)), rtol=1e-8)
            assert found[name].weights.sum() == pytest.approx(1.0, rel=1e-12)


def test_they_are_what_heterogeneity_takes(params):
    """1 ... 5 over 5 and 1 ... 40 over 40 are both near uniform: alike over their own scale, unlike as they are."""
    found = tensor_spectra(loss, params, [torch.ones(1)])
    raw, own = (heterogeneity(found, sigma=0.1, scale=scale).mean_divergence for scale in ("none", "top"))
    assert own < 0.05 < 0.2 < raw


def test_chosen_tensors_and_refusals(params):
    assert list(tensor_spectra(loss, params, [torch.ones(1)], names=["large"])) == ["large"]
    with pytest.raises(ValueError, match="dense >= 0, got -1"):
        tensor_spectra(loss, params, [torch.ones(1)], dense=-1)
    with pytest.raises(ValueError, match="n_probes >= 2, got 1"):
        tensor_spectra(loss, params, [torch.ones(1)], dense=0, n_probes=1)
