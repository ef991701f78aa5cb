"""Layers that are there before the shell: on the meta device, as parameters for FSDP, and on two ranks that share their rows."""

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import with_fields
from sandbox.optimizers.rso import RSO
from sandbox.shells.compression import as_parameters, compress
from sandbox.shells.subspace import Subspace
from sandbox.shells.subspace_linear import merged, plain_names, subspace_layers, trained
from tests.shells import subspace_ranks
from tests.shells.subspace_ranks import GAP, RULES, SEED, SHARED, STEPS, Small, options, rules, walk

ADAM = RSO(Adam(0.05), rank=2, update_gap=GAP)


def alone(name):
    """One process, plain weights first: what the other tests of the shell look at."""
    dtype, more = options(name)
    model = Small(dtype)
    walk(model, Subspace(model, rules(name), share=SHARED, seed=SEED, **more))
    return model


@pytest.mark.parametrize("name", RULES)
def test_layers_that_are_there_already_train_to_the_same_bits(name):
    dtype, more = options(name)
    model = Small(dtype)
    compress(model, rules(name), share=SHARED)
    as_parameters(model)
    walk(model, Subspace(model, rules(name), share=SHARED, seed=SEED, **more))
    theirs = merged(alone(name))
    assert list(merged(model)) == list(theirs) == [key for key, _ in Small(dtype).named_parameters()]
    assert all(torch.equal(w, theirs[key]) for key, w in merged(model).items())
    start = dict(Small(dtype).named_parameters())
    assert all((w - start[key]).abs().max() > 1e-3 for key, w in theirs.items())  # it has moved


def test_fixed_parameters_take_no_gradient_and_no_step():
    model = Small(torch.float64)
    compress(model, rules("adam, prox, rotated"), share=SHARED)
    as_parameters(model)
    optimizer = Subspace(model, rules("adam, prox, rotated"), share=SHARED, seed=SEED)
    moved = {w for group in optimizer.param_groups for w in group["params"]}
    assert moved == {p for p in model.parameters() if p.requires_grad} == set(trained(model).values())
    walk(model, optimizer)
    for layer in subspace_layers(model).values():
        assert layer.W.grad is None and layer.P.grad is None and layer.B.grad is not None
    assert not list(model.buffers()) and set(model.state_dict()) == {key for key, _ in model.named_parameters()}


def test_layers_are_made_without_a_number():
    with torch.device("meta"):
        model = Small(torch.float32)
    model.to("meta")
    compress(model, rules("wider states"), share=SHARED)
    as_parameters(model)
    assert all(p.device.type == "meta" for p in model.parameters())
    assert [key for key, _ in Small(torch.float32).named_parameters()] == list(trained(model)) == list(merged(model))
    assert model.query.projection is model.key.projection is not model.out.projection


def test_names_of_the_plain_model():
    model = Small(torch.float64)
    compress(model, {n: ADAM if n == "key.weight" else Adam(0.1) for n, _ in model.named_parameters()})
    names = ["query.weight", "key.W", "key.P", "key.B", "key.bias", "W", "other.B"]
    assert plain_names(model, names) == {
        "query.weight": "query.weight",
        "key.B": "key.weight",
        "key.bias": "key.bias",
        "W": "W",  # of no layer
        "other.B": "other.B",
    }


OTHERS = [
    (with_fields(ADAM, rank=3), "key.weight is there with rank 2 where its rule has rank 3"),
    (Adam(0.1), "key.weight is there with rank 2 where its rule has rank None"),
]


@pytest.mark.parametrize(("rule", "words"), OTHERS, ids=["rank", "plain"])
def test_layers_that_the_rules_do_not_ask_for_are_refused(rule, words):
    model = Small(torch.float64)
    table = {n: ADAM if n.endswith("weight") else Adam(0.1) for n, _ in model.named_parameters()}
    compress(model, table)
    before = {key: x.clone() for key, x in model.state_dict().items()}
    with pytest.raises(ValueError, match=f"{words}; compress a plain model with these rules, or call remove"):
        Subspace(model, table | {"key.weight": rule})
    assert all(torch.equal(x, before[key]) for key, x in model.state_dict().items())


def test_a_weight_without_its_layer_is_refused_too():
    model = Small(torch.float64)
    table = {n: ADAM if n == "key.weight" else Adam(0.1) for n, _ in model.named_parameters()}
    compress(model, table)
    with pytest.raises(ValueError, match="out.weight is there with rank None where its rule has rank 2"):
        Subspace(model, table | {"out.weight": ADAM})


def test_a_new_shell_on_old_layers_begins_a_round_and_keeps_what_was_learned():
    """What the last round had in B is merged, so the function is the same; remove() then gives plain layers of it."""
    model, x = alone("adam, prox, rotated"), normal((4, 7), generator(7))
    before, learned = model(x).detach(), {key: w.clone() for key, w in merged(model).items()}
    again = Subspace(model, rules("adam, prox, rotated"), share=SHARED, seed=SEED + 1)
    assert not any(layer.B.detach().any() for layer in subspace_layers(model).values())
    for key, w in merged(model).items():
        torch.testing.assert_close(w, learned[key], rtol=0, atol=1e-14)
    torch.testing.assert_close(model(x).detach(), before, rtol=0, atol=1e-13)
    again.remove()
    assert all(type(layer) is nn.Linear for layer in model.children())


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(subspace_ranks.run, (2, str(folder)), 2)
    return torch.load(folder / "found.pt", weights_only=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_two_ranks_learn_what_one_process_learns(name, found):
    """Eight steps and two ends of rounds; sums over ranks in another order differ by one rounding, float32 ones by 6e-8 a step."""
    tolerance = 1e-5 if name == "wider states" else 1e-11
    theirs = merged(alone(name))
    assert found[name]["weights"].keys() == theirs.keys() and STEPS > 2 * GAP
    for key, w in found[name]["weights"].items():
        torch.testing.assert_close(w, theirs[key].detach(), rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_the_first_rank_has_its_rows_and_nothing_is_whole(found):
    rows = found["momentum, kept"]["rows"]
    layer = {"W": (3, 7), "P": (4, 2), "B": (3, 2)}
    assert rows == {
        **{f"{name}.{part}": shape for name in ("query", "key") for part, shape in layer.items()},
        **{"out.W": (1, 5), "out.P": (3, 2), "out.B": (1, 2), "query.bias": (3,), "out.bias": (1,)},
    }
    assert found["momentum, kept"]["buffers"] == []


@pytest.mark.slow
def test_merged_weights_have_the_digits_of_the_shards_and_not_of_the_last_pass(found):
    for key, w in Small(torch.float32).named_parameters():
        assert torch.equal(found["bfloat16"][key], w), key


@pytest.mark.slow
def test_no_sum_over_ranks_is_left_in_a_state_that_a_round_has_turned(found):
    """A checkpoint would hold a part of it. One row on two ranks is whole on both: DTensor cuts no side that is shorter than the ranks."""
    assert {key for _, key in found["turned"]} == {"m", "v"}
    assert {lie for (name, _), lie in found["turned"].items() if name != "out.B"} == {"(Shard(dim=0),)"}
    assert not any("Partial" in lie for lie in found["turned"].values())
