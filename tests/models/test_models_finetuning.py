"""Fine-tuning problems: they start at the base, train on unread text, hold out what they do not train on, and can be
learned.
"""

from dataclasses import replace
from math import log

import pytest
import torch
from torch.func import grad

from sandbox.models.base_model import load
from sandbox.models.finetuning import BOOKS, ClassificationProblem, ContinuationProblem
from sandbox.models.language import checked_tokens
from sandbox.models.text import corpus, verses
from sandbox.problems.base import Problem

CONTINUATION, CLASSIFICATION = ContinuationProblem(), ClassificationProblem()
PROBLEMS = (CONTINUATION, CLASSIFICATION)
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: type(p).__name__)


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(tuple(one), tuple(two), strict=True))


@each_problem
def test_it_is_a_problem(problem):
    assert isinstance(problem, Problem)
    w = problem.start(0)
    assert list(w) == list(problem.roles) == list(problem.shapes)
    assert {name: tuple(p.shape) for name, p in w.items()} == problem.shapes
    assert problem.facts.f_star is None


@each_problem
def test_a_batch_is_a_pure_function_of_seed_and_step(problem):
    assert same(problem.batch(1, 5), problem.batch(1, 5))
    assert not same(problem.batch(1, 5), problem.batch(1, 6))
    assert not same(problem.batch(1, 5), problem.batch(2, 5))


@each_problem
def test_it_starts_at_the_base_and_cannot_change_it(problem):
    w = problem.start(0)
    name = next(iter(w))
    base = load().params[name.removeprefix("backbone.")]
    assert torch.equal(w[name], base)
    w[name].zero_()
    assert base.abs().sum() > 0 and torch.equal(problem.start(0)[name], base)


@each_problem
def test_float64_is_the_base_cast(problem):
    double, single = replace(problem, dtype="float64").start(0), problem.start(0)
    backbone = [name for name in single if not name.startswith("classes")]
    assert all(torch.equal(double[name], single[name].double()) for name in backbone)
    assert double[backbone[0]].dtype == torch.float64


@each_problem
def test_a_batch_follows_its_parameters_to_their_device(problem):
    """The device without numbers stands for any other: the loss is there too."""
    w = {name: p.to("meta") for name, p in problem.start(0).items()}
    assert problem.loss(w, problem.batch(0, 0)).device.type == "meta"


@each_problem
def test_a_step_downhill_lowers_the_loss(problem):
    w, batch = problem.start(0), problem.batch(0, 0)
    g = grad(problem.loss)(w, batch)
    assert problem.loss({name: w[name] - 0.01 * g[name] for name in w}, batch) < problem.loss(w, batch)


def test_continuation_reads_the_fine_tuning_part_only():
    coder, tokens = CONTINUATION.language.codec(), checked_tokens(CONTINUATION.language)
    assert coder.decode(tokens.numpy()) == corpus().part("tune")


def test_the_base_helps_on_unread_text():
    """From the base the loss is far below ln V = 6.93, the loss of fresh weights."""
    fresh = CONTINUATION.language.start(0)
    assert abs(CONTINUATION.held_out(fresh) - log(1024)) < 0.3
    assert CONTINUATION.held_out(CONTINUATION.start(0)) < 0.6 * log(1024)


def test_classes_are_balanced_and_the_eight_largest_unread_books():
    counts = {book: sum(b == book for b, _ in verses()) for book in range(41, 67)}
    assert set(BOOKS) == set(sorted(counts, key=counts.get)[-8:])
    labels = CLASSIFICATION.verses().labels
    assert torch.bincount(labels).tolist() == [min(counts[book] for book in BOOKS)] * 8 == [303] * 8


def test_training_and_held_out_verses_are_disjoint_and_both_balanced():
    train, held = CLASSIFICATION.split()
    labels = CLASSIFICATION.verses().labels
    assert sorted(torch.cat((train, held)).tolist()) == list(range(2424))
    assert torch.bincount(labels[held]).tolist() == [60] * 8  # floor(303 / 5)
    assert torch.bincount(labels[train]).tolist() == [243] * 8
    drawn = {tuple(row.tolist()) for step in range(50) for row in CLASSIFICATION.batch(0, step).tokens}
    kept = {tuple(row.tolist()) for row in CLASSIFICATION.verses().tokens[held]}
    twins = {tuple(row.tolist()) for row in CLASSIFICATION.verses().tokens[train]} & kept
    assert not (drawn - twins) & kept
    assert len(twins) < 5  # a few verses are repeated word for word


def test_labels_belong_to_the_verses():
    """Decode some verses and look them up in the text, book by book."""
    data, coder = CLASSIFICATION.verses(), load().tokenizer.codec(corpus())
    for row in range(0, 2424, 101):
        book = BOOKS[data.labels[row]]
        start = coder.decode(data.tokens[row, : data.lengths[row]].numpy())
        assert any(b == book and text.startswith(start) for b, text in verses())


def test_fresh_heads_guess():
    """Eight balanced classes: loss about ln 8, accuracy about 1/8; other seeds, other heads."""
    w = CLASSIFICATION.start(0)
    assert abs(CLASSIFICATION.held_out(w) - log(8)) < 0.5
    assert CLASSIFICATION.accuracy(w) < 0.4
    assert not torch.equal(w["classes.weight"], CLASSIFICATION.start(1)["classes.weight"])


def test_accuracy_and_loss_of_a_known_answer():
    """A head that always says class 0 is right in 1 of 8; with a margin of 40 it loses 40 nats on the other 7 of 8."""
    w = CLASSIFICATION.start(0)
    w["classes.weight"].zero_()
    w["classes.bias"].zero_()[0] = 40.0
    assert CLASSIFICATION.accuracy(w) == 1 / 8
    assert CLASSIFICATION.held_out(w) == pytest.approx(40 * 7 / 8, rel=1e-6)


@pytest.mark.slow
def test_the_book_can_be_learned():
    """Behaviour: 200 steps of AdamW at 5e-4 are right on at least twice as many verses as guessing."""
    w = {name: p.requires_grad_() for name, p in CLASSIFICATION.start(0).items()}
    optimizer = torch.optim.AdamW(w.values(), lr=5e-4)
    for step in range(200):
        optimizer.zero_grad()
        CLASSIFICATION.loss(w, CLASSIFICATION.batch(0, step)).backward()
        optimizer.step()
    assert CLASSIFICATION.accuracy(w) > 2 / 8


def test_refuses_books_that_cannot_be_classes():
    with pytest.raises(ValueError, match=r"book 40 is not in the fine-tuning part: .* read 1 to 40; choose from 41 to 66"):
        ClassificationProblem(books=(40, 41))
    with pytest.raises(ValueError, match=r"at least two different numbers, got \(41, 41\)"):
        ClassificationProblem(books=(41, 41))
