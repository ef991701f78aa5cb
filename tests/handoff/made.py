"""Cards of a tiny Llama on a tiny text, for the tests of what is made from cards."""

from sandbox.handoff.canary import canary, forecast
from sandbox.handoff.recipe import Recipe, parts_of
from sandbox.handoff.schema import SCHEMA, sealed
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import Characters
from sandbox.run import Schedule

WORDS = "the quick brown fox jumps over the lazy dog and the small grey cat looks on\n"
HIDDEN = ("query", "key", "value", "attention_out", "ffn_in", "ffn_gate", "ffn_out")
EVIDENCE = {
    "claim": "a.b", "statement": "s", "outcome": "HOLDS", "low": 0.0, "value": 0.0, "high": 0.0, "limit": 0.0, "margin": None, "seeds": 2,
    "code": "", "date": "", "versions": {}, "bound_digest": None,
}  # fmt: skip


def problem_in(folder):
    path = folder / "words.txt"
    path.write_text("".join(WORDS[i % 7 :] for i in range(200)), encoding="utf-8")
    model = LlamaConfig(vocab=30, width=16, layers=2, heads=4, kv_heads=2, context=8, ffn=24, std=0.2)
    return fitted(LanguageProblem(model, text=str(path), tokenizer=Characters(), batch_size=2))


def on_hidden(problem, framed, rule):
    """One rule on the matrices inside, another one everywhere else."""
    return {name: framed if role.kind in HIDDEN else rule for name, role in problem.roles.items()}


def card_of(problem, rules, *, shell="stepwise", schedule=Schedule(50, 5, 0.1), lr_factors=None, **changes):  # noqa: B008
    recipe = Recipe(problem, rules, steps=50, shell=shell, schedule=schedule, lr_factors=lr_factors)
    data = {key: getattr(parts_of(recipe), key) for key in ("optimizer", "schedule", "model", "data", "parametrisation")}
    rest = {"transfer": None, "evidence": [EVIDENCE], "canary": canary(recipe), "forecast": forecast(recipe), "unvalidated": []}
    return sealed({"schema": SCHEMA} | data | rest | changes)


def kinds_of(problem):
    return {name: role.kind for name, role in problem.roles.items()}
