"""Rows of many seeds at once are the rows of each seed alone."""

import math

from sandbox.ledger.training import held_out_at_marks
from sandbox.ledger.training_together import finite, losses_at_marks
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adamw import AdamW


def tiny():
    model = LlamaConfig(vocab=2, width=16, layers=1, heads=2, context=16)
    return fitted(LanguageProblem(model, tokenizer=Characters(), batch_size=2, held_out_tokens=1024, dtype="float64"))


def test_a_stack_of_seeds_gives_the_rows_of_single_runs():
    problem, rule = tiny(), AdamW(3e-3, weight_decay=0.1)
    rows = losses_at_marks(problem, rule, steps=10, seeds=(4, 9))
    for seed, row in zip((4, 9), rows, strict=True):
        alone = held_out_at_marks(problem, rule, steps=10, seed=seed)
        assert row.keys() == alone.keys()
        assert all(math.isclose(row[key], alone[key], rel_tol=1e-10) for key in row)  # float64: 10 steps of rounding
    assert rows[0]["loss_100"] < rows[0]["loss_10"] < 4.5


def test_what_is_missing_or_not_a_number_counts_as_diverged():
    assert finite(None) == finite(math.nan) == math.inf
    assert finite(1.5) == 1.5
