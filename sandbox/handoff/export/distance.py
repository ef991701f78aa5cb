"""How far another program's optimizer goes from ours with the exported settings: ten steps of it on the card's own model.

    distance = |W_theirs - W_ours| / |W_ours - W_0|        over all tensors, and that of the worst tensor

W_ours are the weights after the card's ten steps by its own shell. Both run in float64, for a large learning rate blows rounding of
float32 up to 5e-4 within ten steps. What is left is the optimizer: above LIMIT it is another one, or another setting, under the same name.
"""

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from sandbox.handoff.export.their_llama import Windows, their_llama
from sandbox.handoff.for_trainers import optimizer, scheduler
from sandbox.handoff.recipe import Recipe
from sandbox.handoff.schema import CANARY_STEPS, Card
from sandbox.models.initial import build

LIMIT = 1e-3


@dataclass(frozen=True)
class Distance:
    """worst: the largest of a single tensor, and its name.  what: whose program, and its version."""

    value: float
    worst: float
    tensor: str
    what: str

    def __str__(self) -> str:
        worst = f"worst tensor {self.tensor}: {self.worst:.1e}"
        return f"{self.what} is {self.value:.1e} of the way away from ours after {CANARY_STEPS} steps ({worst})"


def of_trainer(card: Card, recipe: Recipe, arguments: Mapping[str, Any]) -> Distance:
    """Of Hugging Face's Trainer as it is, with these TrainingArguments. Raises ValueError where it cannot be run here."""
    import transformers

    seed = card.canary.seed
    theirs, ours = (their_llama(recipe.problem.model, seed).double() for _ in range(2))
    start = {name: w.detach().clone() for name, w in theirs.named_parameters()}
    ten_steps(card, ours, recipe)
    run_trainer(theirs, recipe, arguments, seed)
    return between(theirs, ours, start, f"{arguments['optim']} of transformers {transformers.__version__}")


def of_torch(card: Card, recipe: Recipe, make: Callable[[nn.Module], torch.optim.Optimizer], what: str) -> Distance:
    """Of an optimizer of torch on the card's own model, with the card's schedule."""
    theirs, ours = (build(recipe.problem.model, card.canary.seed, torch.float64) for _ in range(2))
    start = {name: w.detach().clone() for name, w in theirs.named_parameters()}
    ten_steps(card, ours, recipe)
    ten_steps(card, theirs, recipe, make(theirs))
    return between(theirs, ours, start, what)


def ten_steps(card: Card, model: nn.Module, recipe: Recipe, made: torch.optim.Optimizer | None = None) -> None:
    """The card's ten steps on a model, by the card's own optimizer or another one."""
    made = made or optimizer(card, model)
    schedule = scheduler(card, made)
    for k in range(CANARY_STEPS):
        made.zero_grad()
        loss_of(model, recipe.problem.batch(card.canary.seed, k)).backward()
        made.step()
        schedule.step()


def loss_of(model: nn.Module, batch: Tensor) -> Tensor:
    found = model(batch[:, :-1])
    logits = getattr(found, "logits", found)
    return nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


def run_trainer(model: nn.Module, recipe: Recipe, arguments: Mapping[str, Any], seed: int) -> list[float]:
    """Ten steps of the Trainer, which builds its optimizer and schedule from the arguments; the losses before them."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    batch, losses = arguments["per_device_train_batch_size"], []

    class InOrder(Trainer):
        def get_train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(self.train_dataset, batch_size=batch, shuffle=False)

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().compute_loss(*args, **kwargs)
            losses.append(float(loss.detach()))
            return loss

    class Ten(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_training_stop |= state.global_step >= CANARY_STEPS

    quiet = {"use_cpu": True, "report_to": [], "save_strategy": "no", "logging_strategy": "no", "disable_tqdm": True}
    with tempfile.TemporaryDirectory() as folder, on_this_machine():
        made = TrainingArguments(folder, **arguments, **quiet)
        InOrder(model, made, train_dataset=Windows(recipe.problem, seed), callbacks=[Ten()]).train()
    return losses


@contextlib.contextmanager
def on_this_machine() -> Iterator[None]:
    """lomo_optim's AdaLomo moves its buffers to a GPU whatever the model is on; that is undone where there is none. Nothing is printed."""
    undone = contextlib.nullcontext() if torch.cuda.is_available() else patch.object(Tensor, "cuda", lambda self, *_, **__: self)
    with undone, contextlib.redirect_stdout(io.StringIO()):
        yield


def between(theirs: nn.Module, ours: nn.Module, start: Mapping[str, Tensor], what: str) -> Distance:
    """Raises ValueError where ours did not move: nothing can be compared then."""
    a, b = dict(theirs.named_parameters()), dict(ours.named_parameters())
    apart = {name: (a[name] - b[name]).detach().double().norm().item() for name in b}
    moved = {name: (b[name] - w).detach().double().norm().item() for name, w in start.items()}
    if not any(moved.values()):
        raise ValueError("the card's ten steps move no weight, so no other optimizer can be compared with it")
    each = {name: apart[name] / moved[name] for name in moved if moved[name]}
    tensor = max(each, key=each.get)
    total = sum(x * x for x in apart.values()) ** 0.5 / sum(x * x for x in moved.values()) ** 0.5
    return Distance(total, each[tensor], tensor, what)
