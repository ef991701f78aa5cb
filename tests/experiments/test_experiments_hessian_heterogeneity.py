"""Three models on one task: the same data, exact spectra, and an order that a planted spectrum turns."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sandbox.curvature.heterogeneity import Spectrum
from sandbox.models.initial import initial


@pytest.fixture(scope="module")
def three(module):
    return module["hessian_heterogeneity"]


@pytest.fixture(scope="module")
def small(three):
    return three.Setting(vocab=3, context=4, windows=20, width=4, channels=5)


def test_models_are_of_one_size_and_see_the_same_windows(three):
    setting = three.Setting()
    sizes = {name: sum(w.numel() for w in initial(config, 0).values() if w.ndim > 1) for name, config in three.configs(setting).items()}
    assert max(sizes.values()) < 2 * min(sizes.values()), sizes


def test_the_spectra_are_those_of_each_tensor(three, small):
    found = three.spectra(small, 1)
    config = three.configs(small)["mlp"]
    params = initial(config, 1, torch.float64)
    tokens = three.MarkovProblem(three.configs(small)["transformer"], batch_size=20).batch(1, 0)
    name = "head.weight"

    def loss(w):
        return F.cross_entropy(three.outputs("mlp", config, {**params, name: w}, tokens[:, :-1], 3), tokens[:, -1])

    H = torch.func.hessian(loss)(params[name]).reshape(12, 12).numpy()
    assert np.allclose(np.sort(found["mlp"][name].nodes), np.linalg.eigvalsh(H), atol=1e-13)
    assert all(
        spectrum.nodes.size == params_of(three, small, model)[key].numel()
        for model, each in found.items()
        for key, spectrum in each.items()
    )


def params_of(three, small, model):
    return initial(three.configs(small)[model], 1, torch.float64)


def test_a_token_that_a_model_must_not_see_does_not_reach_it(three, small):
    tokens = three.MarkovProblem(three.configs(small)["transformer"], batch_size=20).batch(1, 0)
    other = tokens.clone()
    other[:, 0] = (other[:, 0] + 1) % 3
    for name, config in three.configs(small).items():
        params = initial(config, 1, torch.float64)
        first, second = (three.outputs(name, config, params, x[:, :-1], 3) for x in (tokens, other))
        assert first.shape == (20, 3) and not torch.equal(first, second)  # the first token of a window reaches all three


def test_models_whose_spectra_are_planted_come_in_the_planted_order(three):
    def flat(scale):
        return Spectrum(scale * np.linspace(0.5, 1.0, 40), np.full(40, 1 / 40))

    alike, unlike = {"a": flat(1.0), "b": flat(1.0)}, {"a": flat(1.0), "b": flat(1e-3)}
    found = three.divergences({"transformer": unlike, "cnn": alike, "mlp": alike})
    assert found["transformer raw"] > 0.5 and found["cnn raw"] == 0.0
    assert found["transformer top"] == pytest.approx(0.0, abs=1e-12)  # one is the other, scaled
    assert found["transformer log"] == pytest.approx(0.0, abs=1e-12)
