"""Block mass of all Adam-mini blocks of a transformer of a million parameters, at real text: seconds, products, intervals.

Run: python tests/benchmarks/bench_block_mass.py [steps of Adam first: 100]

Measured on an otherwise idle machine, one thread, float32: 1,063,680 parameters, 11,497 blocks, 128
tokens, after 100 steps of Adam.

    the whole Hessian            0.4219 +- 4.6 %       384 products       12 s by the clock     12 s of a core
    inside tensors, together     0.9810 +- 0.9 %    10,710 products       69 s by the clock     68 s of a core

One product per block and probe would have been 11,497 products for each probe. Of the 68 tensors 64 came within 5 % (the widest: 4.7 %)
and four are the key biases, whose Hessian is 0 but for rounding. Before `deflated_mass` took directions out on both sides and as many
as pay, 62 did, for 14,150 products and 106 s of a core (counted without the first rounds of tensors that were deflated), and two value
matrices of masses 0.011 and 0.014 stopped at 2,048 products with 5.3 and 5.5 %: now 672 products each, 1.0 and 0.04 %.

Of the products 3,712 go to the exact Hessians of 29 vectors of 128 entries, 5,792 to the twelve value, output and down matrices.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable

import torch

from sandbox.curvature.coloured_mass import coloured_mass
from sandbox.curvature.probes import Estimate
from sandbox.curvature.tensor_mass import TensorMass, tensor_masses, together, whole_operator
from sandbox.models.cuts import adam_mini
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem
from sandbox.models.partitions import from_blocks
from sandbox.models.tokenizers import BytePairs
from sandbox.problems.base import Params

PROBLEM = LanguageProblem(GPTConfig(2048, width=128, layers=4, heads=4, context=64), tokenizer=BytePairs(2048), batch_size=2)
WITHIN = 0.05


def trained(steps: int) -> Params:
    params = {name: value.requires_grad_() for name, value in PROBLEM.start(0).items()}
    optimizer = torch.optim.Adam(params.values(), lr=3e-3)
    for step in range(steps):
        optimizer.zero_grad()
        PROBLEM.loss(params, PROBLEM.batch(0, step)).backward()
        optimizer.step()
    return {name: value.detach() for name, value in params.items()}


def seconds(call: Callable[[], object]) -> tuple[object, str]:
    """The result, and seconds on the clock and of one core: they differ where others use the machine."""
    clock, core = time.perf_counter(), time.process_time()
    result = call()
    return result, f"{time.perf_counter() - clock:7.1f} s, {time.process_time() - core:6.1f} s of a core"


def line(name: str, mass: Estimate, note: str = "") -> str:
    low, high = mass.interval()
    return f"{name:32s} {mass.value:7.4f}  [{low:.4f}, {high:.4f}]  +- {(high - low) / 2 / mass.value:6.2%} {mass.n_products:7d} {note}"


def summary(rows: tuple[TensorMass, ...]) -> str:
    met = Counter("negligible" if row.negligible else "within" if row.half_width <= WITHIN else "wider" for row in rows)
    worst = max((row for row in rows if not row.negligible), key=lambda row: row.half_width)
    return (
        f"{met['within']} tensors within {WITHIN:.0%}, {met['wider']} not (worst: {worst.half_width:.1%}), {met['negligible']} negligible"
    )


def main(steps: int) -> None:
    torch.set_num_threads(1)
    params, batch = trained(steps), PROBLEM.batch(1, 0)
    partition = from_blocks(adam_mini(PROBLEM.roles, PROBLEM.shapes), PROBLEM.shapes)
    entries, blocks = sum(x.numel() for x in params.values()), sum(partition.counts.values())
    print(f"{entries:,} parameters, {blocks:,} blocks, {batch[:, 1:].numel()} tokens, {steps} steps of Adam, one thread, float32")
    print(f"{'':32s} {'mass':>7s}  95 % interval{'':16s} products")
    operator = whole_operator(PROBLEM.loss, params, [batch])
    found, note = seconds(lambda: coloured_mass(operator, partition.flat(), n_colours=32, n_rounds=12, chunk=8).mass)
    print(line("the whole Hessian", found, note), flush=True)
    rows, note = seconds(lambda: tensor_masses(PROBLEM.loss, params, [batch], partition.labels))
    for row in rows:
        print(line(row.name, row.mass, "negligible" if row.negligible else ""))
    print(line("inside tensors, together", together(rows), note))
    print(summary(rows))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
