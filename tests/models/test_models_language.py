"""Language problems: batches are functions of (seed, step), held-out text is never trained on, the loss is its
formula.
"""

import subprocess
import sys
from dataclasses import replace
from math import log

import pytest
import torch

from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, Layout, checked_tokens, fitted, layout
from sandbox.models.llama import LlamaConfig
from sandbox.models.text import corpus
from sandbox.models.tokenizers import BytePairs, Characters
from sandbox.problems.base import Problem

WORDS = (
    "in the beginning was the word and the word was with all of them\n",
    "again and again\n",
    "so it goes, and goes\n",
)


@pytest.fixture
def small(tmp_path):
    """900 numbered lines, so that no two windows are the same by accident."""
    path = tmp_path / "small.txt"
    path.write_text("".join(WORDS[(i * i) % 3] + str(i) for i in range(900)))
    problem = LanguageProblem(
        GPTConfig(vocab=1, width=8, layers=1, heads=2, context=16),
        text=str(path), tokenizer=Characters(), dtype="float64", held_out_tokens=500,
    )  # fmt: skip
    return fitted(problem)


def test_it_is_a_problem(small):
    assert isinstance(small, Problem)
    assert small.facts.L is None and small.facts.f_star is None


def test_a_batch_is_a_pure_function_of_seed_and_step(small):
    assert torch.equal(small.batch(1, 5), small.batch(1, 5))
    assert not torch.equal(small.batch(1, 5), small.batch(1, 6))
    assert not torch.equal(small.batch(1, 5), small.batch(2, 5))
    assert small.batch(1, 5).shape == (4, 17)
    assert torch.equal(replace(small).batch(1, 5), small.batch(1, 5))


def test_windows_are_pieces_of_the_text(small):
    coder, content = small.codec(), corpus(small.text).part("pretrain")
    for window in (*small.batch(0, 0), *small.held_out_batch()[:3]):
        assert coder.decode(window.numpy()) in content


def covered(starts, context):
    return {int(s) + i for s in starts for i in range(context + 1)}


@pytest.mark.parametrize("n, context", [(4000, 16), (4007, 16), (9999, 32), (1700, 20)])
def test_no_training_window_touches_a_held_out_window(n, context):
    """Every start that training can draw is drawn (200,000 draws miss one of 9,000 with probability 2e-6), and the sets
    are disjoint.
    """
    cut = layout(n, context, "a text")
    train = cut.train_starts(200_000, torch.Generator().manual_seed(0))
    assert len(train.unique()) == 8 * (cut.train - context)
    held = cut.held_out_starts(10**9)
    assert not covered(train.unique(), context) & covered(held, context)
    assert max(covered(held, context)) < n


def test_held_out_targets_do_not_overlap_and_come_from_every_segment():
    cut = layout(8000, 16, "a text")  # 8 segments of 1000, 100 held out in each: 6 windows of 16 targets
    starts = cut.held_out_starts(10**9)
    assert len(starts) == 8 * 6
    assert len({int(s) + 1 + i for s in starts for i in range(16)}) == 8 * 6 * 16
    assert (starts % 1000 >= 900).all() and len((starts // 1000).unique()) == 8
    assert len(cut.held_out_starts(129)) == 16  # 129 targets need 9 windows: 2 from every segment
    assert len(cut.held_out_starts(128)) == 8


def test_starts_are_uniform():
    """Each of 8 * 84 starts has probability 1 / 672: over 672,000 draws a count has standard deviation 31.6 around
    1000.
    """
    starts = Layout(110, 100, 16).train_starts(672_000, torch.Generator().manual_seed(0))
    counts = torch.bincount(starts)
    assert ((counts == 0) | ((counts - 1000).abs() < 6 * 31.6)).all()
    assert (counts > 0).sum() == 672


def test_the_loss_is_its_formula(small):
    """Mean of -log softmax at the next token, by a loop over positions."""
    w, batch = small.start(0), small.batch(0, 0)
    logits = torch.func.functional_call(small.module(), w, (batch[:, :16],))
    probability = logits.exp() / logits.exp().sum(-1, keepdim=True)
    total = sum(-probability[b, t, batch[b, t + 1]].log() for b in range(4) for t in range(16))
    torch.testing.assert_close(small.loss(w, batch), total / 64, rtol=1e-12, atol=0)


def test_held_out_is_the_mean_over_all_windows_at_once(small):
    """A chunk is 128 windows of 16 tokens: one chunk first, then two of unequal length."""
    w = small.start(0)
    windows = small.held_out_batch()
    assert len(windows) * 16 >= 500
    assert small.held_out(w) == pytest.approx(small.loss(w, windows).item(), rel=1e-12)
    long = replace(small, held_out_tokens=3000)
    assert len(long.held_out_batch()) > 128  # two chunks of 2048 / 16 windows, the last one shorter
    assert long.held_out(w) == pytest.approx(small.loss(w, long.held_out_batch()).item(), rel=1e-12)


def test_training_lowers_the_held_out_loss(small):
    """Behaviour: 60 steps of gradient descent from about ln V."""
    w = small.start(0)
    before = small.held_out(w)
    assert abs(before - log(small.model.vocab)) < 0.1
    for step in range(60):
        g = torch.func.grad(small.loss)(w, small.batch(0, step))
        w = {name: w[name] - 0.5 * g[name] for name in w}
    assert small.held_out(w) < before - 0.3


def test_parts_differ_and_all_is_both(small):
    parts = [checked_tokens(replace(small, part=part)) for part in ("pretrain", "tune", "all")]
    assert torch.equal(torch.cat(parts[:2]), parts[2])


def test_a_batch_follows_its_parameters_to_their_device(small):
    """The device without numbers stands for any other: the loss is there too."""
    w = {name: p.to("meta") for name, p in small.start(0).items()}
    assert small.loss(w, small.batch(0, 0)).device.type == "meta"


def test_roles_and_shapes_name_the_parameters(small):
    w = small.start(0)
    assert list(w) == list(small.roles) == list(small.shapes)
    assert all(tuple(w[name].shape) == shape for name, shape in small.shapes.items())
    assert {p.dtype for p in w.values()} == {torch.float64}


def test_llama_on_the_packaged_text():
    problem = LanguageProblem(LlamaConfig(vocab=512, width=16, layers=1, heads=2, context=32), batch_size=2)
    assert abs(problem.held_out(problem.start(0)) - log(512)) < 0.05
    assert len(problem.held_out_batch()) * 32 == 8192


def test_refuses_a_vocabulary_that_is_not_the_tokenizers(small):
    wrong = replace(small, model=replace(small.model, vocab=99))
    with pytest.raises(ValueError, match=rf"has {small.model.vocab} tokens, but the model has vocab=99: give the model vocab="):
        wrong.batch(0, 0)


def test_refuses_a_text_too_short_for_the_context(tmp_path):
    (tmp_path / "short.txt").write_text("ab" * 500)
    problem = LanguageProblem(GPTConfig(vocab=2, context=16), text=str(tmp_path / "short.txt"), tokenizer=Characters())
    with pytest.raises(ValueError, match=r"part 'pretrain' of '.*' has 800 tokens, but context 16 needs 1360: .* at most 9"):
        problem.batch(0, 0)


def test_the_limits_in_that_sentence_are_true():
    assert layout(1360, 16, "x").train == 153
    assert layout(800, 9, "x").train == 90
    for n, context in ((800, 10), (1300, 16)):
        with pytest.raises(ValueError, match="needs "):
            layout(n, context, "x")


def test_refuses_settings_that_mean_nothing():
    with pytest.raises(ValueError, match="batch_size and held_out_tokens must be > 0, got 0 and 8192"):
        LanguageProblem(GPTConfig(vocab=512), batch_size=0)
    with pytest.raises(ValueError, match='dtype must be "float32" or "float64", got \'float16\''):
        LanguageProblem(GPTConfig(vocab=512), dtype="float16")


def test_another_process_draws_the_same_batch():
    """What a spawned worker sees is what this process sees."""
    problem = LanguageProblem(GPTConfig(vocab=512), tokenizer=BytePairs(512))
    code = (
        "from sandbox.models.language import *; from sandbox.models.gpt import GPTConfig; "
        "print(LanguageProblem(GPTConfig(vocab=512)).batch(3, 7).sum().item())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert int(out) == problem.batch(3, 7).sum().item()
