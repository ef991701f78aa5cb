"""The chain draws what its tables say, a batch is a pure function of its key, and a model can learn it."""

import math

import pytest
import torch

from sandbox.models.gpt import GPTConfig
from sandbox.models.markov import MarkovProblem
from sandbox.optimizers.adam import Adam
from sandbox.run import run


def chain(vocab=4, batch=16, **fields):
    return MarkovProblem(GPTConfig(vocab, width=16, layers=1, heads=2, context=16), batch, **fields)


def test_tokens_follow_the_tables():
    """Pearson's statistic over the cells (a, b, c) against its degrees of freedom; 6 standard deviations never happen by chance."""
    problem = chain(3, batch=4000)
    tokens = problem.batch(0, 0)
    seen = torch.zeros(3, 3, 3, dtype=torch.float64)
    for t in range(2, tokens.shape[1]):
        seen.index_put_((tokens[:, t - 2], tokens[:, t - 1], tokens[:, t]), torch.ones(len(tokens), dtype=torch.float64), accumulate=True)
    a, b = torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")
    law = problem.chances(a.flatten(), b.flatten()).view(3, 3, 3)
    wanted = law * seen.sum(2, keepdim=True)
    degrees = 9 * 2
    chi2 = float(((seen - wanted) ** 2 / wanted).sum())
    assert abs(chi2 - degrees) < 6 * math.sqrt(2 * degrees)
    swapped = law.transpose(0, 1) * seen.sum(2, keepdim=True)  # the planted fault: the two last tokens in the wrong order
    assert float(((seen - swapped) ** 2 / swapped).sum()) > 100 * degrees


def test_a_batch_is_a_pure_function_of_seed_and_step():
    problem = chain()
    assert problem.batch(1, 2).shape == (16, 17)
    assert torch.equal(problem.batch(1, 2), chain().batch(1, 2))
    assert not torch.equal(problem.batch(1, 2), problem.batch(1, 3))
    assert not torch.equal(problem.batch(1, 2), problem.batch(2, 2))
    assert not torch.equal(problem.batch(1, 2), chain(chain=1).batch(1, 2))


def test_without_contrast_all_tokens_are_alike():
    problem = chain(5, contrast=0.0)
    assert torch.allclose(problem.chances(torch.tensor([0, 3]), torch.tensor([4, 4])), torch.full((2, 5), 0.2, dtype=torch.float64))
    assert problem.least(problem.batch(0, 0)) == pytest.approx(math.log(5), rel=1e-12)  # rounding


def test_a_small_transformer_comes_near_the_least_loss_and_never_below():
    problem = chain(4, batch=32)
    trace = run(problem, Adam(1e-2), steps=300, seed=0)
    large = chain(4, batch=2000).batch(9, 0)
    least, start, end = problem.least(large), trace.loss[0], trace.loss[-20:].mean()
    assert start == pytest.approx(math.log(4), abs=0.05)  # a start of std 0.02 knows nothing
    assert least < end < least + 0.5 * (start - least)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="batch_size >= 1"):
        chain(batch=0)
    with pytest.raises(ValueError, match="contrast >= 0"):
        chain(contrast=float("nan"))
