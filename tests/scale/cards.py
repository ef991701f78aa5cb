"""Cards of tiny runs for the tests of the trainer, sealed as those of claims are."""

from sandbox.handoff.canary import canary, forecast
from sandbox.handoff.reading import write
from sandbox.handoff.recipe import parts_of
from sandbox.handoff.schema import SCHEMA, EvidencePart, sealed
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import Characters

WORDS = "a stitch in time saves nine, and all is well that ends well\n" * 150
EVIDENCE = EvidencePart(
    claim="a.b",
    statement="s",
    outcome="HOLDS",
    low=0.0,
    value=0.0,
    high=0.0,
    limit=0.0,
    margin=0.02,
    seeds=2,
    code="",
    date="",
    versions={},
    bound_digest=None,
)


def text_in(folder):
    """A card reads texts below the working folder, so tests that use this text work in its folder.

    No other test names a text so: a process remembers texts by the path it was given.
    """
    (folder / "scale_words.txt").write_text(WORDS)
    return "scale_words.txt"


def tiny(text, *, width=8, layers=1, batch_size=2, dtype="float32", **config):
    model = LlamaConfig(vocab=30, width=width, layers=layers, heads=2, context=8, **config)
    return fitted(LanguageProblem(model, text=text, tokenizer=Characters(), batch_size=batch_size, dtype=dtype))


def card_of(recipe, path, **changes):
    parts = parts_of(recipe)
    data = {
        "schema": SCHEMA,
        "optimizer": parts.optimizer,
        "schedule": parts.schedule,
        "model": parts.model,
        "data": parts.data,
        "parametrisation": parts.parametrisation,
        "transfer": None,
        "evidence": [EVIDENCE],
        "canary": canary(recipe),
        "forecast": forecast(recipe),
        "unvalidated": [],
    }
    write(sealed(data | changes), path)
    return path
