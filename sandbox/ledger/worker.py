"""What runs inside a worker process: one task as plain data in, plain numbers out.

Only the standard library is imported at the top, so that `prepare` sets the thread variables before numpy or torch are loaded.
"""

import dataclasses
import json
import os
import signal
import sys
import threading
import time
import traceback
from multiprocessing import parent_process
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from sandbox.ledger.code_version import code_version
from sandbox.ledger.loading import load

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CHANGED = "the sources changed while this ran; run again, finished rows are kept"


class Order(NamedTuple):
    """A task for a worker. setting: plain JSON with its class name under `type`.  code: the version that its rows are stored under."""

    root: str
    file: str
    claim: str
    setting: dict[str, Any]
    seeds: tuple[int, ...]
    code: str


class Delivery(NamedTuple):
    """values: one dict a seed, or () with `error` saying what went wrong and where."""

    values: tuple[dict[str, Any], ...]
    seconds: float
    error: str = ""


def prepare() -> None:
    """Start of a worker: one thread, deaf to Ctrl-C (the parent ends it), and gone when the parent is gone."""
    for name in THREAD_VARIABLES:
        os.environ[name] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent_process().join()
    os._exit(1)


def deliver(order: Order) -> Delivery:
    """Run the task; an exception inside `measure` comes back as a sentence, and so do sources that are not those of `order.code`,
    before or after: what was measured then belongs to no one version.
    """
    start = time.perf_counter()
    try:
        if _changed(order):
            return Delivery((), 0.0, CHANGED)
        module = load(Path(order.file))
        claim = next(claim for claim in module.CLAIMS if claim.id == order.claim)
        _one_torch_thread()
        values = claim.measure(rebuild(module, order.setting), order.seeds)
        seconds = time.perf_counter() - start
        return Delivery((), seconds, CHANGED) if _changed(order) else Delivery(_checked(values, order), seconds)
    except Exception as error:
        return Delivery((), time.perf_counter() - start, _sentence(error, order))


def _changed(order: Order) -> bool:
    return code_version(Path(order.file)) != order.code


def rebuild(module: ModuleType, setting: dict[str, Any]) -> Any:
    """The setting from plain data: its class by name from the experiment's module, lists as tuples.

    Raises ValueError where the module has no dataclass of that name.
    """
    kind = getattr(module, setting["type"], None)
    if not dataclasses.is_dataclass(kind):
        raise ValueError(f"a setting must be a dataclass that {module.__file__} defines or imports; it has no {setting['type']!r}")
    return kind(**{name: _tuples(value) for name, value in setting.items() if name != "type"})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _one_torch_thread() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _checked(values: Any, order: Order) -> tuple[dict[str, Any], ...]:
    values = tuple(values)
    if len(values) != len(order.seeds):
        raise ValueError(f"measure must return one dict per seed; got {len(values)} for the {len(order.seeds)} seeds {order.seeds}")
    for one in values:
        for key, value in one.items():
            _must_be_plain(key, value)
    return tuple(json.loads(json.dumps(dict(one))) for one in values)


def _must_be_plain(key: str, value: Any) -> None:
    try:
        json.dumps(value)
    except TypeError as error:
        raise ValueError(f"measure must return plain numbers; {key!r} is {type(value).__name__}: convert it with float()") from error


def _sentence(error: Exception, order: Order) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    setting = ", ".join(f"{k}={v}" for k, v in order.setting.items() if k != "type")
    return f"{type(error).__name__}: {error}{where}, with {setting}, seeds {list(order.seeds)}"
