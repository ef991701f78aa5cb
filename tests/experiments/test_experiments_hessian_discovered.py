"""What is measured of discovered heads, on Hessians whose blocks are known, and where the blocks are not the heads."""

import numpy as np
import pytest

from sandbox.curvature.block_mass import block_mass
from sandbox.curvature.planted import planted
from sandbox.measures import discovered_heads

SETTING = discovered_heads.Setting(width=8, n_chance=9)
ENTRIES = SETTING.width**2


def in_order(seed: int) -> np.ndarray:
    """(64, 64) four blocks of 16 entries, two rows of the tensor each: heads of a query of width 8, with a tenth of noise."""
    H, labels = planted([ENTRIES // 4] * 4, seed, noise=0.1)
    order = labels.argsort(kind="stable")
    return H[np.ix_(order, order)]


def shifted(H: np.ndarray) -> np.ndarray:
    """Every block begins one row of the tensor, half a head, later."""
    order = np.roll(np.arange(ENTRIES), SETTING.width)
    return H[np.ix_(order, order)]


@pytest.mark.parametrize("seed", [1, 2])
def test_heads_that_are_there_are_found_and_turned_they_are_not(monkeypatch, seed):
    monkeypatch.setattr(discovered_heads, "hessians", lambda setting, seed: {"query": in_order(seed), "key": in_order(seed + 10)})
    found = discovered_heads.values(SETTING, seed)
    assert (found["exact"], found["agreement"], found["turned"]) == (1.0, 1.0, 0.0)
    assert found["excess"] > 0.8 and found["products"] > 0  # a tenth of the mass is noise


def test_blocks_that_are_not_the_heads_do_not_agree(monkeypatch):
    """The planted fault: the blocks are found where they are, which is half a head beside the heads."""
    monkeypatch.setattr(discovered_heads, "hessians", lambda setting, seed: {"query": shifted(in_order(1)), "key": shifted(in_order(11))})
    found = discovered_heads.values(SETTING, 1)
    assert found["excess"] > 0.8 and found["exact"] == 0.0
    assert found["agreement"] < 0.5  # of every block one half lies in each of two heads; the limit of the claims is 0.8


def test_one_tensor_without_blocks_halves_the_means(monkeypatch):
    plain = discovered_heads.turned(in_order(1), 5)
    monkeypatch.setattr(discovered_heads, "hessians", lambda setting, seed: {"query": in_order(1), "key": plain})
    found = discovered_heads.values(SETTING, 1)
    assert found["exact"] == 0.5 and found["agreement"] == pytest.approx(0.5)  # 1 and 0: none found agrees with nothing


def test_hessians_are_those_of_query_and_key_after_training():
    """Both tensors alone: near the start heads, which are rows 4 h ... 4 h + 3, hold nearly all, and as many groups of inputs do not."""
    found = discovered_heads.hessians(discovered_heads.Setting(ffn=8, steps=1, tokens=64), 3)
    heads, inputs = np.repeat(np.arange(4), 64), np.tile(np.repeat(np.arange(4), 4), 16)
    assert len(found) == 2
    for H in found.values():
        assert H.shape == (256, 256) and np.allclose(H, H.T, atol=1e-10 * np.abs(H).max())  # float64, up to rounding
        assert block_mass(H, heads) > 0.8 > 0.6 > block_mass(H, inputs)
