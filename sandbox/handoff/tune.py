"""What `sandbox tune` does: sweep the learning rate of one optimizer on a text at several widths, keep every run, fit how the best moves.

    optimizer    one of the seven methods of the sweeps, in either parametrisation, or `package.module:Class` of any torch.optim.Optimizer,
                 which has one rate for all tensors and so the standard parametrisation alone

A run is a row of the same ledger as those of the claims, under the subject "tune" and a code version of its own: the sources that this
file imports. A row that is there is not run again.
"""

import importlib
import math
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch

from sandbox.fit import Sample
from sandbox.handoff.parametrisation import Parametrisation, Parametrised, at_width
from sandbox.handoff.sweep import Swept
from sandbox.handoff.transfer import interval, rule
from sandbox.handoff.transfer_runs import BASE_WIDTH, CONTEXT, HEAD, METHODS, rules_of
from sandbox.handoff.transfer_runs import Setting as Run
from sandbox.ledger.claim import Task, plain, setting_hash
from sandbox.ledger.code_version import code_version
from sandbox.ledger.execute import Progress
from sandbox.ledger.store import Row, Store
from sandbox.models.language import LanguageProblem
from sandbox.models.llama import LlamaConfig
from sandbox.models.text import KJV, corpus
from sandbox.models.tokenizers import BytePairs
from sandbox.run import Schedule, run
from sandbox.shells.foreign import Foreign, foreign

SUBJECT = "tune"


@dataclass(frozen=True)
class Tuning:
    """One run. options: keyword arguments of a foreign class.  text_sha256: of the text that a row was measured on."""

    optimizer: str
    parametrisation: str = "mu"
    width: int = BASE_WIDTH
    layers: int = 2
    lr: float = 0.0
    steps: int = 200
    batch: int = 8
    weight_decay: float = 0.0
    vocab: int = 512
    text: str = KJV
    text_sha256: str = ""
    options: tuple[tuple[str, Any], ...] = ()


def checked(tuning: Tuning, widths: Sequence[int]) -> Tuning:
    """The tuning with the digest of its text. Raises ValueError for what could not run at all these widths, before anything runs."""
    if tuning.optimizer not in METHODS:
        class_of(tuning.optimizer)
        if tuning.parametrisation != "standard":
            raise ValueError(f"{tuning.optimizer} has one rate for all tensors, so its parametrisation is standard, got mu: add --standard")
        if tuning.weight_decay:
            raise ValueError(f"the weight decay of {tuning.optimizer} is one of its own arguments: give it with --option weight_decay=...")
    elif tuning.options:
        raise ValueError(f"--option is for a class of torch.optim.Optimizer, got {dict(tuning.options)} for {tuning.optimizer}")
    for width in widths:
        problem_of(Tuning(**(vars(tuning) | {"width": width})))
    if min(tuning.steps, tuning.batch, tuning.layers) < 1 or tuning.weight_decay < 0:
        raise ValueError(f"steps, batch and layers must be >= 1 and the decay >= 0, got {tuning}")
    return Tuning(**(vars(tuning) | {"text_sha256": corpus(tuning.text).digest}))


def class_of(name: str) -> type[torch.optim.Optimizer]:
    """Raises ValueError where `package.module:Class` cannot be imported or is no optimizer of torch."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"an optimizer is one of {', '.join(METHODS)}, or package.module:Class of a torch.optim.Optimizer, got {name!r}")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"the optimizer {name!r} must be module:Class that Python can import from here, but: {error}") from error
    return foreign(found).optimizer_class


def problem_of(tuning: Tuning) -> Parametrised:
    """Raises ValueError for a width that is no multiple of the head size, and where text and vocabulary do not fit."""
    if tuning.width < HEAD or tuning.width % HEAD:
        raise ValueError(f"every width must be a multiple of {HEAD}, the size of a head, got {tuning.width}")
    heads = tuning.width // HEAD
    model = LlamaConfig(tuning.vocab, width=tuning.width, layers=tuning.layers, heads=heads, context=CONTEXT, init="lecun")
    problem = LanguageProblem(model, tuning.text, tokenizer=BytePairs(tuning.vocab), batch_size=tuning.batch)
    problem.layout()  # raises where the text is too short
    return Parametrised(problem, Parametrisation(tuning.parametrisation, BASE_WIDTH))


def rules_at(tuning: Tuning, problem: Parametrised) -> Mapping[str, Any] | Foreign:
    if tuning.optimizer not in METHODS:
        return foreign(class_of(tuning.optimizer), lr=tuning.lr, **dict(tuning.options))
    fields = {name: getattr(tuning, name) for name in ("parametrisation", "width", "layers", "lr", "steps", "batch", "weight_decay")}
    rules = rules_of(Run(tuning.optimizer, **fields), problem.problem)
    return at_width(rules, problem.problem.roles, tuning.width, problem.parametrisation)


def trained(tuning: Tuning, seed: int) -> dict[str, float]:
    """Held-out loss at the end in nats per token, inf where the run diverged."""
    problem, n = problem_of(tuning), tuning.steps
    seen = run(
        problem,
        rules_at(tuning, problem),
        steps=n,
        seed=seed,
        schedule=Schedule(n, warmup=n // 10, floor=0.1),
        watch=lambda k, params: {"loss": problem.held_out(params)} if k == n else None,
    )
    return {"loss": seen.watched[n]["loss"] if seen.status == "finished" else math.inf}


def one_row(tuning: Tuning, seed: int) -> tuple[dict[str, float], float]:
    """What a worker does: (values, seconds)."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    return trained(tuning, seed), time.perf_counter() - start


@dataclass
class Tune:
    """A sweep over a ledger. seconds: of all rows that it used, those of earlier calls included."""

    plan: Swept
    store: Store
    rows: dict[tuple[str, int], Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.code = code_version(Path(__file__))
        self.rows = self.store.rows(SUBJECT, self.code)
        self.used: set[tuple[str, int]] = set()

    def __call__(self, setting: Tuning, seed: int) -> Sample | None:
        key = (setting_hash(setting), seed)
        row = self.rows.get(key)
        if row is None:
            return None
        self.used.add(key)
        return Sample(seed, row.values, row.code, row.date)

    @property
    def seconds(self) -> float:
        return sum(self.rows[key].seconds for key in self.used)

    def run(self, executor: Executor, slots: int, progress: Progress) -> None:
        """Everything that is missing, row by row into the ledger; an exception of a run ends it, and what is stored stays."""
        flying: dict[Any, Task] = {}
        while left := [task for task in self.plan.missing(self) if task not in flying.values()] or list(flying.values()):
            for task in [task for task in left if task not in flying.values()][: max(slots - len(flying), 0)]:
                flying[executor.submit(one_row, task.setting, task.seeds[0])] = task
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                self._keep(flying.pop(future), *future.result())
            last = next(iter(left)).setting
            progress(len(self.used), len(self.used) + len(left), f"{last.optimizer}: {self.plan.along} {getattr(last, self.plan.along)}")

    def _keep(self, task: Task, values: dict[str, float], seconds: float) -> None:
        (seed,) = task.seeds
        name = setting_hash(task.setting)
        row = Row(SUBJECT, name, seed, self.code, plain(task.setting), values, seconds, date.today().isoformat())
        self.store.put([row])
        self.rows[name, seed] = row

    def found(self, at: int | None = None) -> dict[str, Any]:
        """The fit as plain values. at: a width to predict the best rate for; every row must be there."""
        lines, plan = self.plan.lines(self), self.plan
        best = {width: geometric([self.plan.best(self, seed)[width] for seed in plan.seeds]) for width in plan.points}
        setting: Tuning = plan.setting
        return {
            "id": f"tune.{setting.optimizer}.{setting.parametrisation}",
            "status": "fitted",
            **rule(lines, plan.points),
            "best": best,
            "predicted": geometric([math.log(one.rate(at)) for one in lines]) | {"width": at} if at else None,
            "seconds": self.seconds,
        }


def geometric(logs: Sequence[float]) -> dict[str, float]:
    """A rate and its interval over seeds, from logarithms."""
    low, high = interval(logs)
    return {"value": math.exp(sum(logs) / len(logs)), "low": math.exp(low), "high": math.exp(high)}
