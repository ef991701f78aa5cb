"""Settings cards, and what is done with them. For a training loop of your own:

from sandbox.handoff import optimizer, scheduler
made = optimizer(Path("adalomo.json"), model)
Trainer(model, args, optimizers=(made, scheduler(Path("adalomo.json"), made)), ...)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.handoff.for_trainers import optimizer, scheduler

__all__ = ["optimizer", "scheduler"]


def __getattr__(name: str) -> Any:
    """Imported when they are asked for: reading a card needs no shell."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sandbox.handoff import for_trainers

    return getattr(for_trainers, name)
