"""Which backward is running: told by an object that lies in autograd's queue for the end of it, and dies with the queue.

A hook that finds its object alive is still in the backward it met last, for the price of one look at a weak reference.
Autograd calls the object when the backward ends. When the backward breaks off, with an exception out of a hook, a custom
function or an allocation, autograd calls nobody, but it lets go of the object, and that is heard before the caller sees
the exception.

Backwards can be nested: re-entrant checkpointing calls backward inside backward, once per segment. They count as one, the
outermost. The queue that a hook can reach is the innermost, so an object there dies with its segment; another one is
queued by the node of the outer graph that has called the segment, after that node is done.
"""

import sys
import weakref
from collections.abc import Callable
from typing import Any, Literal

from torch.autograd import Variable
from torch.autograd.function import BackwardCFunction

NODE = BackwardCFunction.apply.__code__
State = Literal["runs", "between", "over"]  # between: after a segment, and before its node is done


class Backward:
    """The outermost backward in which hooks have asked last. number: how many there were.

    broke_off: called when it ends without an end. goes_on: whether it is still running; a hook that hears no calls `met`.
    """

    def __init__(self, broke_off: Callable[[], None]) -> None:
        self._broke_off, self.number = broke_off, 0
        self._close()

    def _close(self) -> None:
        """It is over, whatever autograd says later."""
        self._state: State = "over"
        self._node: Callable[[], Any] | None = None  # weak, for it holds what forward has kept
        self.goes_on: Callable[[], Any] = _nothing

    def settle(self) -> None:
        """To be called outside of every backward: one that has not ended has broken off. A thread of a device says so a little late."""
        if self._state != "over":
            self._breaks_off()

    def met(self) -> bool:
        """To be called in a hook that is not in the backward known so far: whether it is in another segment of it all the same."""
        node = _outermost_node()
        if self._state == "between":
            if node is not None and node is self._node():
                self._watch("between")
                return True
            self._breaks_off()
        self._begin(node)
        return False

    def _begin(self, node: Any) -> None:
        self.number += 1
        if node is None:
            return self._watch("over")
        self._node = weakref.ref(node)
        self._watch("between")
        number = self.number
        node.register_hook(lambda *_: self._surfaced(number))

    def _surfaced(self, number: int) -> None:
        """The node is done, so that the queue at hand is that of the outer backward."""
        if number == self.number and self._node is not None:
            self._watch("over")

    def _watch(self, then: State) -> None:
        """then: the state at the end of the queue at hand."""
        end = _End(self, then)
        self._state, self.goes_on = "runs", weakref.ref(end, self._died)  # a reference that is replaced hears nothing any more
        try:
            Variable._execution_engine.queue_callback(end)
        except RuntimeError:  # no backward is running: a hook called by hand
            self._close()

    def _ended(self, end: "_End") -> None:
        if self.goes_on() is end:
            self._state, self.goes_on = end.then, _nothing

    def _died(self, _: Any) -> None:
        self._breaks_off()

    def _breaks_off(self) -> None:
        self._close()
        self._broke_off()


class _End:
    """What lies in the queue."""

    def __init__(self, backward: Backward, then: State) -> None:
        self.backward, self.then = backward, then

    def __call__(self) -> None:
        self.backward._ended(self)


def _nothing() -> None:
    """A weak reference to nothing."""


def _outermost_node() -> Any:
    """The custom function whose backward has called the backward that is running; None where they are not nested."""
    frame, found = sys._getframe(), None
    while frame is not None:
        if frame.f_code is NODE:
            found = frame.f_locals["self"]
        frame = frame.f_back
    return found
