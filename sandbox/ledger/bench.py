"""A root with its claims and its ledger, and the three things that are done there: look, run, record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.ledger.check import Orders, check, record
from sandbox.ledger.claim import TIERS, Claim, Tier
from sandbox.ledger.collect import Experiment, choose, collect, find_root
from sandbox.ledger.execute import Progress, pool
from sandbox.ledger.result import Result
from sandbox.ledger.store import Store
from sandbox.outputs import require_writable


@dataclass(frozen=True)
class Bench:
    """root: where experiments/ lies.  out: where results are kept."""

    root: Path
    out: Path
    experiments: tuple[Experiment, ...]

    @property
    def ledger(self) -> Path:
        return self.out / "ledger.sqlite"

    def look(self) -> tuple[Result, ...]:
        """What is stored or recorded of every claim; runs nothing."""
        with Store(self.ledger) as store:
            return check(self.experiments, store)

    def run(self, order: "Order", progress: Progress = lambda done, total, text: None) -> tuple[Result, ...]:
        """Run what is missing; a result for every claim of the root, run or not.

        Raises ValueError where an id names a claim of a slower tier of which nothing is stored or recorded, or which is to run
        anew; for an order to record that runs nothing which could be recorded; and where the results cannot be written.
        """
        self._refuse_vain(order)
        self.require_writable()
        slow = self._too_slow(order)
        ids = order.ids - slow
        with Store(self.ledger) as store, pool(order.workers) as executor:
            orders = Orders(ids, ids if order.fresh else (), max(1, 2 * order.workers), ids if order.go_on else ())
            return check(self.experiments, store, orders, executor=executor, progress=progress)

    def require_writable(self) -> None:
        """Raises ValueError where the folder of results, or that of cards in it, cannot be written."""
        require_writable(self.out)
        require_writable(self.out / "cards")

    def record(self, claims: Sequence[Claim], *, go_on: bool = False) -> list[Path]:
        """Export the rows of these claims, beside those of a record that was gone on with.

        Raises ValueError for none, and where one has rows missing at this code version.
        """
        if not claims:
            raise ValueError("a record holds claims of the full and study tiers, and none was run here: add --tier full")
        with Store(self.ledger) as store:
            ids = [claim.id for claim in claims]
            paths, incomplete = record(self.experiments, store, ids, ids if go_on else ())
        if incomplete:
            raise ValueError(f"a record needs all rows at this code version; {', '.join(incomplete)} lack some: run them first")
        return paths

    def _refuse_vain(self, order: "Order") -> None:
        slow = [claim for claim in order.chosen if TIERS.index(claim.tier) > TIERS.index(order.tier)]
        named = [claim for claim in slow if claim.id in order.names]
        if order.fresh and (named or (slow and len(slow) == len(order.chosen))):
            first = (named or slow)[0]
            raise ValueError(
                f"{first.id} is of the {first.tier} tier, so --tier {order.tier} cannot run it anew; "
                f"add --tier {first.tier} (about {first.cost_s:g} s on one core) or leave --fresh out to see what is stored"
            )
        if order.record and not any(claim.tier != "quick" and claim not in slow for claim in order.chosen):
            raise ValueError(
                f"a record holds claims of the full and study tiers, and --tier {order.tier} runs none of the {len(order.chosen)} "
                "that were asked for: name one of them and add --tier full or study"
            )
        if order.record:
            require_writable(self.root / "experiments" / "records")

    def _too_slow(self, order: "Order") -> set[str]:
        slow = {claim.id: claim for claim in order.chosen if TIERS.index(claim.tier) > TIERS.index(order.tier)}
        named = [name for name in order.names if name in slow]
        shown = {result.claim.id for result in self.look() if result.outcome is not None} if named else set()
        for name in named:
            if name not in shown:
                claim = slow[name]
                raise ValueError(
                    f"{name} is of the {claim.tier} tier (about {claim.cost_s:g} s on one core) and nothing is recorded for it; "
                    f"add --tier {claim.tier} to run it"
                )
        return set(slow)


@dataclass(frozen=True)
class Order:
    """names: as they were asked for.  chosen: the claims they mean.  workers: 0 means in this process.  fresh: run stored rows again.

    record: what is run will be recorded.  go_on: recorded rows of other code versions count as run.
    """

    names: tuple[str, ...]
    chosen: tuple[Claim, ...]
    tier: Tier
    workers: int
    fresh: bool = False
    record: bool = False
    go_on: bool = False

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(claim.id for claim in self.chosen)


def open_bench(root: Path | None, out: Path | None) -> Bench:
    """Find the root (from here upward where None) and load its claims. Raises ValueError, see `find_root` and `collect`."""
    root = root.resolve() if root else find_root(Path.cwd())
    return Bench(root, out.resolve() if out else root / "results", collect(root))


def order(bench: Bench, names: Sequence[str], tier: Tier, **how: Any) -> Order:
    """how: further fields of an Order. Raises ValueError for an unknown name, with the nearest ones, and for fresh rows that go on."""
    made = Order(tuple(names), choose(bench.experiments, names), tier, **how)
    if made.fresh and made.go_on:
        raise ValueError("--fresh runs everything anew and --go-on takes what is recorded as run: give one of them")
    return made
