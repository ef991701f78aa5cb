"""Directions as pure functions of integers, masks, low-rank directions, and the two ways of making them: whole and in chunks."""

import math

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.subzero import SubZero, alignment, perturbation, subspace
from sandbox.oracles.probing import directions_of
from sandbox.perturbations import directions as module
from sandbox.perturbations.directions import Directions, Draws, Probe, chunks, key_of
from sandbox.perturbations.in_chunks import InChunks, norm_of
from sandbox.perturbations.low_rank import LowRank
from sandbox.perturbations.masks import MagnitudeMask, RandomMask

SHAPES = {"long": (50, 7), "row": (1, 300), "vector": (130,), "number": (), "empty": (0, 4), "cube": (6, 3, 5)}
PROBE = Probe({name: i for i, name in enumerate(SHAPES)}, 0)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """64 entries a chunk, so that small tensors have several; 9 rows of seven, and a row of 300 alone."""
    monkeypatch.setattr(module, "CHUNK", 64)


def params(dtype=torch.float64):
    return {name: normal(shape, generator(80, i)).to(dtype) for i, (name, shape) in enumerate(SHAPES.items())}


@pytest.mark.parametrize("name", SHAPES)
def test_chunks_are_all_rows_once_in_order(name):
    shape = SHAPES[name]
    made = list(chunks(shape))
    rows = [i for chunk in made for i in range(chunk.rows.start, chunk.rows.stop)]
    assert rows == list(range(shape[0] if shape else 1)) and [c.number for c in made] == list(range(len(made)))
    assert all(math.prod(c.shape) <= 64 or c.shape[0] == 1 for c in made)
    if name == "long":
        assert [c.shape for c in made] == [(9, 7)] * 5 + [(5, 7)]


def test_a_rank_can_draw_its_own_rows_alone():
    """A chunk is the same numbers whoever draws it, and the whole is the chunks one below the other."""
    draws, whole = Draws(Directions(), 5), Draws(Directions(), 5).whole(PROBE, "long", (50, 7))
    for chunk in reversed(list(chunks((50, 7)))):
        assert torch.equal(draws.chunk(PROBE, "long", (50, 7), chunk), whole[chunk.rows])


def test_every_part_of_the_key_changes_the_numbers():
    def z(key=5, index=0, direction=0, law="gaussian"):
        return Draws(Directions(law), key).whole(Probe({"w": index}, direction), "w", (20, 7))

    base = z()
    assert torch.equal(base, z()) and base.dtype == torch.float64
    for other in (z(key=6), z(index=1), z(direction=1), z(law="rademacher")):
        assert not torch.equal(base, other)
    assert not torch.equal(base[:9], base[9:18])  # two chunks of one tensor
    assert key_of(generator(1)) == key_of(generator(1)) != key_of(generator(2))


def test_laws_have_mean_zero_variance_one_and_their_own_shape():
    """N = 40000, so 4 standard errors: 0.02 for the mean, 0.03 for the variance of a Gaussian, 0.2 for its fourth moment."""
    z = Draws(Directions(), 1).whole(Probe({"w": 0}, 0), "w", (200, 200))
    assert abs(z.mean()) < 0.02 and abs(z.square().mean() - 1) < 0.03 and abs((z**4).mean() - 3) < 0.2
    signs = Draws(Directions("rademacher"), 1).whole(Probe({"w": 0}, 0), "w", (200, 200))
    assert torch.equal(signs.abs(), torch.ones(200, 200)) and abs(signs.mean()) < 0.02


MASKS = [None, RandomMask(0.4), RandomMask(0.4, seed=3), MagnitudeMask(0.3), MagnitudeMask(0.3, keep="large")]


@pytest.mark.parametrize("mask", MASKS, ids=str)
@pytest.mark.parametrize("law", ["gaussian", "sphere", "rademacher"])
@pytest.mark.parametrize("drawn", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_in_chunks_is_what_whole_tensors_give(law, mask, dtype, drawn):
    """The same bits, but for the sphere, whose length is summed in another order: one rounding of the dtype, or 1e-14."""
    directions, w = Directions(law, mask, dtype=drawn), params(dtype)
    probes = [PROBE, Probe({"long": 0, "vector": 2}, 1)]
    pieces = InChunks(Draws(directions, 5), probes, w)
    raw = tuple({name: Draws(directions, 5).whole(p, name, SHAPES[name]) for name in p.indices} for p in probes)
    z = directions_of(directions, raw, w)
    for name in SHAPES:
        total = 0.25 * z[0][name] + (-2.0 * z[1][name] if name in z[1] else 0.0)
        rounding = {torch.float64: 1e-13, torch.float32: 4e-7, torch.bfloat16: 1e-2}
        rtol = 0 if law != "sphere" else max(rounding[dtype], rounding[drawn])
        same = {"rtol": rtol, "atol": rtol}
        torch.testing.assert_close(pieces.combined(name, w[name], {0: 0.25, 1: -2.0}), total.to(dtype), **same)
        torch.testing.assert_close(pieces.moved(name, w[name], {0: 0.25, 1: -2.0}), (total + w[name]).to(dtype), **same)
    assert pieces.moved("row", w["row"], {1: 1.0}) is w["row"] and pieces.touching("row") == [0]


@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_the_sphere_has_radius_sqrt_d_over_all_perturbed_entries_together(mask):
    w = params()
    raw = ({name: Draws(Directions("sphere", mask), 5).whole(PROBE, name, shape) for name, shape in SHAPES.items()},)
    (z,) = directions_of(Directions("sphere", mask), raw, w)
    perturbed = sum(int(x.count_nonzero()) for x in z.values())
    assert float(sum(x.square().sum() for x in z.values())) == pytest.approx(perturbed, rel=1e-12)
    assert perturbed == sum(w.numel() for w in w.values()) if mask is None else perturbed < sum(w.numel() for w in w.values())


def test_a_mask_that_leaves_nothing_leaves_a_sphere_of_radius_zero():
    """0 entries, and not 0/0; both ways of making directions."""
    directions, w = Directions("sphere", RandomMask(1 - 1e-12, seed=1)), params()
    raw = ({name: Draws(directions, 5).whole(PROBE, name, shape) for name, shape in SHAPES.items()},)
    (z,) = directions_of(directions, raw, w)
    pieces = InChunks(Draws(directions, 5), [PROBE], w)
    for name in SHAPES:
        assert torch.equal(z[name], torch.zeros_like(w[name])) and torch.equal(pieces.combined(name, w[name], {0: 1.0}), z[name])


@pytest.mark.parametrize("s", [0.1, 0.5, 0.9])
def test_the_mask_of_the_released_code_zeroes_another_share_than_it_says(s):
    """Phi(s): 0.540, 0.691, 0.816, where ours zeroes s. N = 40000: 4 standard errors are 0.01."""
    for compared, share in (("uniform", s), ("standard normal", 0.5 * (1 + math.erf(s / 2**0.5)))):
        kept = RandomMask(s, compared=compared).kept((200, 200), generator(9))
        assert float(1 - kept.mean()) == pytest.approx(share, abs=0.01)


def test_a_mask_with_a_seed_stays_and_one_without_is_drawn_anew():
    def zeros(mask, key):
        return Draws(Directions("gaussian", mask), key).whole(Probe({"w": 0}, 0), "w", (30, 7)) == 0

    assert torch.equal(zeros(RandomMask(0.5, seed=1), 5), zeros(RandomMask(0.5, seed=1), 6))
    assert not torch.equal(zeros(RandomMask(0.5), 5), zeros(RandomMask(0.5), 6))
    assert not torch.equal(zeros(RandomMask(0.5, seed=1), 5), zeros(RandomMask(0.5, seed=2), 5))


def test_all_directions_of_a_step_share_their_mask():
    draws = Draws(Directions("gaussian", RandomMask(0.5)), 5)
    first, second = (draws.whole(Probe({"w": 0}, j), "w", (30, 7)) for j in range(2))
    assert torch.equal(first == 0, second == 0) and not torch.equal(first, second)


@pytest.mark.parametrize("keep", ["small", "large"])
@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.99])
def test_a_magnitude_mask_zeroes_the_stated_number_on_the_stated_side(keep, sparsity):
    w, mask = normal((10, 10), generator(3)), MagnitudeMask(sparsity, keep)
    kept = mask.kept(w, mask.threshold(w))
    assert int((~kept).sum()) == int(sparsity * 100)
    if sparsity:
        inside, outside = w.abs()[kept], w.abs()[~kept]
        assert inside.max() < outside.min() if keep == "small" else inside.min() > outside.max()


@pytest.mark.parametrize("keep", ["small", "large"])
def test_a_magnitude_mask_keeps_what_is_as_large_as_the_last_one_kept(keep):
    w, mask = torch.tensor([1.0, -1.0, 1.0, 1.0]), MagnitudeMask(0.75, keep)
    assert mask.kept(w, mask.threshold(w)).all()


@pytest.mark.parametrize("bad", [lambda: RandomMask(1.0), lambda: MagnitudeMask(-0.1), lambda: RandomMask(float("nan"))])
def test_a_share_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match=r"the share of zeroed entries and must lie in \[0, 1\), got"):
        bad()


def test_unknown_words_are_refused():
    for bad, word in (
        (lambda: Directions("normal"), "normal"),
        (lambda: MagnitudeMask(0.5, "top"), "top"),
        (lambda: RandomMask(0.5, compared="normal"), "normal"),
    ):
        with pytest.raises(ValueError, match=f"got '{word}'"):
            bad()


def low_rank(gap=3, view="own", **values):
    return LowRank(SubZero(GradientDescent(0.1), rank=2, update_gap=gap, shape=view), subspace, alignment, seed=11, **values)


@pytest.mark.parametrize("view", ["own", "most square"])
def test_low_rank_directions_are_the_perturbations_of_subzero(view):
    """U, V from the key of a frame, Z of two by two from the key of a direction; by chunks of nine rows of seven or in whole."""
    shape, hook = (50, 7), low_rank(view=view).at(4)
    z = Draws(Directions(low_rank=hook), 5).whole(PROBE, "long", shape)
    U, V = subspace(hook.frame.draw(generator(11, 0, 3), shape), 50 if view == "own" else 14)
    expected = perturbation(U, normal((2, 2), generator(5, 0, 0)), V).reshape(shape)
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-12)


def test_subspaces_are_kept_between_their_refreshes_and_new_after():
    cache, seen = {}, []
    for k in range(7):
        draws = Draws(Directions(low_rank=low_rank().at(k)), 5, cache)
        draws.whole(PROBE, "long", (50, 7))
        seen.append(cache["long"][1].U)
    assert [seen[k] is seen[k - 1] for k in range(1, 7)] == [True, True, False, True, True, False]
    assert not torch.equal(seen[2], seen[3])


def test_what_is_no_matrix_keeps_its_full_direction():
    draws = Draws(Directions(low_rank=low_rank().at(0)), 5)
    for name in ("vector", "number", "row", "cube"):
        assert torch.equal(draws.whole(PROBE, name, SHAPES[name]), Draws(Directions(), 5).whole(PROBE, name, SHAPES[name]))
    elsewhere = Draws(Directions(low_rank=low_rank(names=frozenset({"vector"})).at(0)), 5)
    assert torch.equal(elsewhere.whole(PROBE, "long", (50, 7)), Draws(Directions(), 5).whole(PROBE, "long", (50, 7)))
    with pytest.raises(ValueError, match="rank 2 of SubZero needs a matrix"):
        elsewhere.whole(PROBE, "vector", (130,))


def test_low_rank_directions_must_know_the_step():
    with pytest.raises(ValueError, match=r"must know the step, to redraw their subspace; call at\(k\)"):
        Draws(Directions(low_rank=low_rank()), 5).whole(PROBE, "long", (50, 7))


def test_numbers_drawn_in_float32_have_the_law_too_and_other_dtypes_are_refused():
    """The bounds of the test above; float32 sums of 40000 numbers add nothing to them."""
    z = Draws(Directions(dtype=torch.float32), 1).whole(Probe({"w": 0}, 0), "w", (200, 200))
    assert z.dtype == torch.float32 and abs(z.mean()) < 0.02 and abs(z.square().mean() - 1) < 0.03
    with pytest.raises(ValueError, match="drawn in torch.float64 or torch.float32, got torch.bfloat16"):
        Directions(dtype=torch.bfloat16)


def test_norm_of_is_the_norm():
    for w in params(torch.bfloat16).values():
        assert norm_of(w) == pytest.approx(float(w.double().norm()), rel=1e-14)
