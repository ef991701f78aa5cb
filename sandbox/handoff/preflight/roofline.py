"""What a step computes and moves, and the least time that a card can take for it.

    flops of a token       forward F = 2 x entries of the matrices and the head, + 4 n s a layer for attention (half of it where the kernel
                           leaves the future out); RSO layers + 2 r (inputs + outputs)
                           backward 2 F; RSO layers: F for the inputs, 2 r outputs for the coefficients; recomputed blocks once more
                           two-point oracles: F a pass;  forward mode: 3 F, a product and its tangent's two
    memory traffic         weights once a pass in the dtype of the arithmetic, what is kept for backward written and read;
                           update: weights and states read and written, gradients read
    between ranks          FSDP2 gathers every weight in forward, those of blocks again in backward, and reduces every gradient;
                           of m numbers in w ranks each sends m (w - 1) / w in a gather or a reduction, twice that in a sum
                           RSO layers: weights and bases are gathered too, gradients those of coefficients; bases
                           once more, twice, where a round ends, and in every step where weights decay
                           two-point oracles and forward mode: one number a direction
    over the bus           sandbox/memory/offload.py, for what one rank keeps

    least time             max(flops / peak, traffic / HBM, sent / link) + update traffic / HBM      everything overlaps
    without overlap        the sum of the four

No kernel reaches the peaks; launches, norms, the softmax and the host are left out. Source: derived.
"""

from dataclasses import dataclass
from math import prod

from sandbox.handoff.preflight.asked import BYTES, Ask
from sandbox.handoff.preflight.hardware import Card
from sandbox.handoff.preflight.moments import FLOAT32, Rank
from sandbox.memory.communication import losses_summed
from sandbox.memory.offload import Traffic
from sandbox.memory.shards import messages, rows_of_first
from sandbox.optimizers.weight_decay import WeightDecay

NUMBER = 8  # bytes of a loss or a slope
DIRECTIONS = 1  # of a two-point estimate, and of a forward gradient


@dataclass(frozen=True)
class Sent:
    """Bytes that one rank sends in a step.  rule: the sums and gathers of the rule itself."""

    gathered: int
    reduced: int
    rule: int

    @property
    def total(self) -> int:
        return self.gathered + self.reduced + self.rule


@dataclass(frozen=True)
class Roofline:
    """Seconds of one step. least: where everything overlaps.  most: where nothing does, at the same peaks."""

    compute: float
    memory: float
    link: float
    update: float

    @property
    def least(self) -> float:
        return max(self.compute, self.memory, self.link) + self.update

    @property
    def most(self) -> float:
        return self.compute + self.memory + self.link + self.update


def sent(rank: Rank) -> Sent:
    """By one rank in one step."""
    others = rank.ask.world - 1
    if rank.system.way in ("in place", "forward mode"):
        return Sent(0, 0, _summed(NUMBER * losses_summed(DIRECTIONS), rank.ask.world))
    shards = {name: prod(rows_of_first(shape, rank.world)) for name, shape in rank.trained().items()}
    again = sum(size for name, size in shards.items() if rank.model.roles[name].kind not in ("embedding", "position", "head"))
    mixed = rank.ask.compute != rank.ask.weights
    fixed = sum(prod(rows_of_first(shape, rank.world)) for shape in rank.fixed())
    gathered = BYTES[rank.ask.compute] * (sum(shards.values()) + again + 2 * fixed)
    reduced = (FLOAT32 if mixed else rank.element) * sum(shards.values())
    plain = {name: rule for name, rule in rank.system.rules.items() if name not in rank.layers}
    shapes = {name: rank.model.shapes[name] for name in plain}
    rule = _summed(rank.element * messages(shapes, plain), rank.ask.world) + others * round(rank.element * _bases(rank))
    return Sent(others * gathered, others * reduced, rule)


def _bases(rank: Rank) -> float:
    """Numbers of this rank's parts of bases that an update gathers: twice where a round ends, once in a step where weights decay."""
    bases = {name: (rank.model.shapes[name][1], frame.rank) for name, frame in rank.layers.items()}
    parts = {name: prod(rows_of_first(shape, rank.world)) for name, shape in bases.items()}
    decays = {name: isinstance(rank.system.rules[name], WeightDecay) for name in rank.layers}
    return sum(n * (2 / rank.layers[name].update_gap + decays[name]) for name, n in parts.items())


def _summed(size: float, world: int) -> int:
    return round(2 * size * (world - 1) / world)


def offloaded(rank: Rank, update: str) -> Traffic:
    """Over the bus of one rank in one step, the states in CPU memory."""
    if update == "on the CPU":
        trained = rank.element * sum(prod(rows_of_first(shape, rank.world)) for shape in rank.trained().values())
        return Traffic(trained, trained)
    return Traffic(rank.states(), rank.states())


def flops(rank: Rank) -> float:
    """Of one rank in one step."""
    ask, model, config = rank.ask, rank.model, rank.ask.target.config
    blocks = 2.0 * sum(prod(model.shapes[name]) for name in model.compressible())
    seen = 0.5 if ask.target.code == "hugging face" and rank.system.way != "forward mode" else 1.0
    attention = seen * 4 * config.width * ask.tokens * config.layers
    head, low = 2.0 * config.vocab * config.width, 0.0
    for name, frame in rank.layers.items():
        low += 2.0 * frame.rank * sum(model.shapes[name])
    forward = blocks + attention + head + low
    if rank.system.way == "in place":
        per_token = rank.system.passes * forward
    elif rank.system.way == "forward mode":
        per_token = 3 * forward
    else:
        coefficients = 2.0 * sum(frame.rank * model.shapes[name][0] for name, frame in rank.layers.items())
        inside = sum(2.0 * prod(model.shapes[name]) for name in rank.layers)
        per_token = 3 * forward - inside - low + coefficients
        per_token += forward - head if ask.recompute == "blocks" else 0.0
    return per_token * ask.sequences * ask.tokens


def roofline(rank: Rank, card: Card, kept: int) -> Roofline:
    """kept: bytes that forward keeps for backward."""
    way, numbers = rank.system.way, sum(map(prod, rank.model.shapes.values()))
    passes = {"in place": rank.system.passes, "forward mode": 2}.get(way, 4 if rank.ask.recompute == "blocks" else 3)
    read = FLOAT32 if way == "forward mode" else BYTES[rank.ask.compute]
    trained = rank.element * sum(prod(rows_of_first(shape, rank.world)) for shape in rank.trained().values())
    return Roofline(
        flops(rank) / card.flops,
        (passes * read * numbers + 2 * kept) / card.hbm,
        sent(rank).total / card.link,
        (3 * trained + 2 * rank.states()) / card.hbm,
    )


def assumptions(ask: Ask, card: Card) -> list[str]:
    """What the times rest on, a line each."""
    whose = card.name if card.named else f"the {card.name}, since only a size was given"
    return [
        f"peaks of {whose}: {card.flops / 1e12:,.0f} Tflop/s in bfloat16, {card.hbm / 1e9:,.0f} GB/s of memory, "
        f"{card.link / 1e9:,.0f} GB/s to other cards, {card.bus / 1e9:,.0f} GB/s to the CPU; programs reach less, so the times are "
        "lower bounds",
        f"all {ask.world} ranks are joined by that link" if ask.world > 1 else "one rank, so nothing is sent",
        "float32 arithmetic is slower than these peaks" if ask.compute == "float32" else "products in bfloat16, sums in float32",
    ]
