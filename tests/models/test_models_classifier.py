"""The classifier: padding is invisible, the mean is over the true tokens, the language head is gone."""

import torch

from sandbox.models.classifier import ClassifierConfig
from sandbox.models.initial import build, roles_of, shapes_of
from sandbox.models.llama import LlamaConfig

CONFIG = ClassifierConfig(LlamaConfig(vocab=11, width=8, layers=1, heads=2, context=6, std=0.4), 3)


def test_logits_are_a_linear_map_of_the_mean_hidden_state():
    model = build(CONFIG, seed=0, dtype=torch.float64)
    tokens = torch.tensor([[3, 1, 4, 1, 5, 9]])
    h = model.backbone.hidden_states(tokens)[0, :4]
    expected = h.mean(0) @ model.classes.weight.T + model.classes.bias
    torch.testing.assert_close(model(tokens, torch.tensor([4]))[0], expected, rtol=1e-12, atol=1e-14)


def test_what_stands_behind_the_length_changes_nothing():
    """Bit for bit: the backbone is causal and the mean gives padding the weight 0."""
    model = build(CONFIG, seed=0)
    one, two = torch.tensor([[3, 1, 4, 0, 0, 0]]), torch.tensor([[3, 1, 4, 7, 8, 9]])
    assert torch.equal(model(one, torch.tensor([3])), model(two, torch.tensor([3])))
    assert not torch.equal(model(one, torch.tensor([4])), model(two, torch.tensor([4])))


def test_the_head_of_the_language_model_is_gone():
    assert not any(name.startswith("backbone.head") for name in shapes_of(CONFIG))
    assert roles_of(CONFIG)["classes.weight"].kind == "head"
    assert shapes_of(CONFIG)["classes.weight"] == (3, 8)
