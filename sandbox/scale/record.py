"""Events for TensorBoard, where it is asked for and installed."""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.scale.job import Job, Ranks


class Record:
    """Writes numbers by step to OUT/tensorboard on rank 0; nothing where nobody asked for it or it is not installed, which is said."""

    def __init__(self, job: Job, ranks: Ranks, say: Callable[[str], None]) -> None:
        wanted = job.tensorboard == "on" and job.out is not None and ranks.rank == 0
        self._writer = board(job.out / "tensorboard", say) if wanted and job.out is not None else None

    def __call__(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items() if self._writer is not None else ():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def board(folder: Any, say: Callable[[str], None]) -> Any:
    """A writer of TensorBoard, or None, said in a sentence, where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        say("TensorBoard is not installed, so no events are written: pip install tensorboard; losses.csv has the losses all the same")
        return None
    return SummaryWriter(str(folder))
