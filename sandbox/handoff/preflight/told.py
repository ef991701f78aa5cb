"""A preflight as lines of text: one system in full, or many side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox.handoff.preflight.asked import Ask
from sandbox.handoff.preflight.hardware import GB
from sandbox.handoff.preflight.preflight import Preflight, Refused

if TYPE_CHECKING:
    from sandbox.handoff.preflight.preflight import Flight

HELD = ("weights", "states", "gradients", "activations", "temporaries", "communication")
WORTH_SAYING = 0.1  # of the states
COLUMNS = ("system", "peak", "fits", "batch", *HELD, "sent", "bus s", "step s")


def headline(flight: "Flight") -> list[str]:
    ask = flight.ask
    card = f"{ask.world} x {ask.card.memory / GB:g} GB" if ask.card else "this machine"
    recomputed = ", blocks recomputed" if ask.recompute == "blocks" else ""
    return [
        f"{ask.target.name}: {flight.parameters:,} parameters on {card}, {ask.batch} x {ask.tokens:,} tokens a step, "
        f"{ask.weights} weights, {ask.compute} arithmetic{recomputed}"
    ]


def size(n: float) -> str:
    """Bytes in units of 1e9, or of 1e6 where that is little."""
    return f"{n / GB:,.2f} GB" if n >= 0.1 * GB else f"{n / 1e6:,.1f} MB"


def details(one: Preflight, ask: Ask) -> list[str]:
    """One system."""
    rows = [(name, size(n)) for name, n in one.bytes.items() if n]
    lines = [f"{one.system}, {one.way}", *(f"  {name:<16}{value:>12}" for name, value in rows)]
    lines.append(f"  {'peak of a rank':<16}{size(one.peak):>12}   {one.at}")
    if ask.card:
        verdict = "fits" if one.fits else "does NOT fit"
        lines.append(f"  {verdict} in {size(ask.card.memory)}; the largest batch that fits is {one.largest_batch:,} sequences of all ranks")
    lines.append(f"  forward keeps {size(one.saved)} for backward; one sequence a rank needs {size(one.least_memory)}")
    sent = one.sent
    if one.whole > WORTH_SAYING * one.bytes["states"]:
        lines.append(
            f"  {size(one.whole)} of the states lie whole on every rank (bases, measurements, factors), so more ranks do not shrink them"
        )
    if ask.world > 1:
        lines.append(
            f"  a rank sends {size(sent['total'])} a step: weights gathered {size(sent['gathered'])}, gradients reduced "
            f"{size(sent['reduced'])}, sums of the rule {size(sent['rule'])}"
        )
    bus, seconds = one.bus, one.seconds
    if one.bytes["states"]:
        on_cpu, on_gpu = (f"{size(bus[f'update_on_{where}'])}, {bus.get(f'seconds_on_{where}', 0):.3f} s" for where in ("cpu", "gpu"))
        lines.append(
            f"  states in CPU memory: peak {size(bus['peak_without_states'])}; over the bus each way {on_cpu} a step with the update on "
            f"the CPU, or {on_gpu} with it on the GPU"
        )
    if seconds:
        lines.append(
            f"  a step takes at least {seconds['least']:.3f} s (compute {seconds['compute']:.3f}, memory {seconds['memory']:.3f}, link "
            f"{seconds['link']:.3f} at the same time; update {seconds['update']:.3f}), {seconds['most']:.3f} s without overlap: at most "
            f"{one.tokens_per_second:,.0f} tokens/s"
        )
    return lines


def table(found: Sequence[Preflight | Refused]) -> list[str]:
    """A row for each system; sizes in GB of a rank at its peak."""
    rows = [_row(one) for one in found if isinstance(one, Preflight)]
    widths = [max(len(row[i]) for row in (COLUMNS, *rows)) for i in range(len(COLUMNS))]
    lines = [
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in (COLUMNS, *rows)
    ]
    refused = [f"{one.system}: {one.why}" for one in found if isinstance(one, Refused)]
    meaning = (
        "GB of one rank at its peak; batch: the largest that fits, of all ranks; sent: GB of one rank in a step; bus s: for states in CPU "
        "memory, the cheaper way; step s: at least"
    )
    return [*lines, meaning, *refused]


def _row(one: Preflight) -> tuple[str, ...]:
    bus = min(one.bus.get("seconds_on_cpu", 0), one.bus.get("seconds_on_gpu", 0)) if one.bytes["states"] else 0.0
    return (
        one.system,
        f"{one.peak / GB:,.2f}",
        "yes" if one.fits else "no",
        f"{one.largest_batch:,}" if one.largest_batch is not None else "-",
        *(f"{one.bytes[name] / GB:,.2f}" for name in HELD),
        f"{one.sent['total'] / GB:,.2f}",
        f"{bus:.3f}",
        f"{one.seconds.get('least', 0):.3f}",
    )
