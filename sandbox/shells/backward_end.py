"""A callback for the end of the backward that is running: of the outermost one, where backwards are nested.

Re-entrant checkpointing calls backward inside backward, once per segment. Autograd's own end-of-backward callback
belongs to the innermost, so a hook that runs inside a segment would take the end of the segment for the end of the
whole. Here the callback is queued by the node of the outer graph that has called the segment, after that node is done.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from torch.autograd import Variable
from torch.autograd.function import BackwardCFunction

NODE = BackwardCFunction.apply.__code__


def at_end_of_backward(call: Callable[[], None]) -> None:
    """To be called in a hook of a running backward; outside of one nothing happens."""
    node = _outermost_node()
    if node is None:
        _queue(call)
    else:
        node.register_hook(lambda *_: _queue(call))


def _queue(call: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # no backward is running: a hook called by hand
        Variable._execution_engine.queue_callback(call)


def _outermost_node() -> Any:
    """The custom function whose backward has called the backward that is running; None where they are not nested."""
    frame, found = sys._getframe(), None
    while frame is not None:
        if frame.f_code is NODE:
            found = frame.f_locals["self"]
        frame = frame.f_back
    return found
