"""Programs of many tensors run side by side, so that sums over the ranks that wait at the same point become one.

A program is a generator: it yields the collectives that it needs next, is sent their results, and returns what it
computed. Collectives of one kind, dtype and process group are joined end to end into one message. The programs and their
order must be the same on every rank.
"""

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Request(NamedTuple):
    """One collective of torch's functional kind: call(x, *rest), then wait."""

    call: Any
    x: Tensor
    rest: tuple[Any, ...]


Program = Generator[list[Request], list[Tensor], Any]


def together(programs: Sequence[Program]) -> list[Any]:
    """What each program returns."""
    returned: list[Any] = [None] * len(programs)
    answers: dict[int, list[Tensor] | None] = dict.fromkeys(range(len(programs)))
    while answers:
        asked = {}
        for i, answer in answers.items():
            try:
                asked[i] = programs[i].send(answer)
            except StopIteration as end:
                returned[i] = end.value
        results = iter(answered([request for requests in asked.values() for request in requests]))
        answers = {i: [next(results) for _ in requests] for i, requests in asked.items()}
    return returned


def answered(requests: list[Request]) -> list[Tensor]:
    """The result of each request; every message is under way before the first is waited for."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for i, (call, x, rest) in enumerate(requests):
        alike.setdefault((call, rest, x.dtype, x.device) if call in JOINED or call is SCATTER else (i,), []).append(i)
    sent = [(positions, _sent([requests[i] for i in positions])) for positions in alike.values()]
    results: dict[int, Tensor] = {}
    for positions, message in sent:
        whole = torch.ops._c10d_functional.wait_tensor(message)
        results.update(zip(positions, _parted(whole, [requests[i] for i in positions]), strict=True))
    return [results[i] for i in range(len(requests))]


def _sent(requests: list[Request]) -> Tensor:
    call, x, rest = requests[0]
    if len(requests) == 1:
        return call(x, *rest)
    parts = rest[1] if call is SCATTER else 1  # the part of each rank from every tensor, one rank after the other
    return call(torch.cat([request.x.reshape(parts, -1) for request in requests], 1).reshape(-1), *rest)


def _parted(whole: Tensor, requests: list[Request]) -> Sequence[Tensor]:
    call, xs = requests[0].call, [request.x for request in requests]
    if len(requests) == 1:
        return [whole]
    return _scattered(whole, xs, requests[0].rest[1]) if call is SCATTER else JOINED[call](whole, xs)


def _scattered(whole: Tensor, xs: list[Tensor], ranks: int) -> list[Tensor]:
    """This rank's part of each sum, end to end."""
    parts = whole.split([x.numel() // ranks for x in xs])
    return [part.view(x.shape[0] // ranks, *x.shape[1:]) for part, x in zip(parts, xs, strict=True)]


def _reduced(whole: Tensor, xs: list[Tensor]) -> list[Tensor]:
    return [part.view(x.shape) for part, x in zip(whole.split([x.numel() for x in xs]), xs, strict=True)]


def _gathered(whole: Tensor, xs: list[Tensor]) -> list[Tensor]:
    """Each rank has sent its parts end to end; part i of every rank is result i."""
    parts = whole.view(-1, sum(x.numel() for x in xs)).split([x.numel() for x in xs], 1)
    return [part.reshape(-1, *x.shape[1:]) for part, x in zip(parts, xs, strict=True)]


SCATTER = torch.ops._c10d_functional.reduce_scatter_tensor.default
JOINED = {
    torch.ops._c10d_functional.all_reduce.default: _reduced,
    torch.ops._c10d_functional.all_gather_into_tensor.default: _gathered,
}
