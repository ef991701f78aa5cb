"""Runs what is missing, on any `concurrent.futures.Executor`, and stores every row as it comes.

Each plan is asked what it misses; tasks of the same (subject, setting, seed) run once; after every delivery the plans of that subject are
asked again, until nothing is left. Expensive tasks go first, so that the pool stays full to the end.

A worker that is killed breaks its pool, and the pool cannot say which task it was. So every task that was in the air is run once more,
alone, in a new pool: the one that breaks that pool too is the one at fault, and only the claims that wait for it stop.
"""

import heapq
import itertools
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

from sandbox.ledger.claim import Claim, Task, plain, setting_hash
from sandbox.ledger.collect import Experiment
from sandbox.ledger.judging import Reader, missing
from sandbox.ledger.loading import load
from sandbox.ledger.store import Row, Store
from sandbox.ledger.worker import Delivery, Order, deliver, prepare, rebuild

Progress = Callable[[int, int, str], None]  # rows done, rows known so far, what came last


class InProcess(Executor):
    """Runs each task where it is submitted: no processes, the same bytes."""

    def submit(self, fn, /, *args, **kwargs) -> Future:
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Renewed(Executor):
    """An executor from `make`, and another one whenever it is found broken."""

    def __init__(self, make: Callable[[], Executor]):
        self.make, self.executor = make, make()

    def submit(self, fn, /, *args, **kwargs) -> Future:
        try:
            return self.executor.submit(fn, *args, **kwargs)
        except BrokenExecutor:
            self.executor.shutdown(cancel_futures=True)
            self.executor = self.make()
            return self.executor.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.executor.shutdown(wait, cancel_futures=cancel_futures)


@contextmanager
def pool(workers: int) -> Iterator[Executor]:
    """A spawn pool with one thread per worker, made anew where a worker was killed; 0 workers: in this process.

    Leaving it by an exception ends the workers at once. Raises ValueError for fewer than 0 workers.
    """
    if workers < 0:
        raise ValueError(f"the number of workers must be >= 0 (0: in this process), got {workers}")
    if workers == 0:
        yield InProcess()
        return
    before = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")
    executor = Renewed(lambda: ProcessPoolExecutor(workers, mp_context=spawn, initializer=prepare))
    over = threading.Event()
    try:
        yield executor
    except BaseException:
        threading.Thread(target=_end_children, args=(before, over), daemon=True).start()
        raise
    finally:
        executor.shutdown(cancel_futures=True)
        over.set()


def _end_children(before: set[multiprocessing.Process], over: threading.Event) -> None:
    """Again and again until all is over, for a worker may be on its way when the first blow falls."""
    while not over.wait(0.05):
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()


@dataclass(frozen=True)
class Work:
    """A claim to run, with the rows of its subject that are there."""

    experiment: Experiment
    claim: Claim
    rows: Reader

    @property
    def subject(self) -> tuple[str, str]:
        return self.experiment.code, self.claim.rows_of


@dataclass(frozen=True)
class _Flight:
    work: Work
    order: Order
    setting_hash: str


@dataclass
class Run:
    """One run over many claims. errors: by claim id, why it could not go on. `slots`: tasks handed to the executor at a time."""

    works: Sequence[Work]
    store: Store
    executor: Executor
    slots: int
    progress: Progress = lambda done, total, text: None
    errors: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.queue: list[tuple[float, int, _Flight]] = []
        self.count = itertools.count()
        self.suspects: list[_Flight] = []
        self.taken: set[tuple] = set()
        self.failed: dict[tuple, str] = {}  # the taken rows that will never come, and why
        self.done = 0

    def __call__(self) -> dict[str, str]:
        """Run everything that is missing; returns `errors`. Raises ValueError where the ledger cannot be written."""
        self._ask(self.works)
        flying: dict[Future, _Flight] = {}
        while self.queue or self.suspects or flying:
            if not self.suspects:
                self._launch(flying)
            elif not flying:
                self._try_alone(self.suspects.pop(0))
            for future in wait(flying, return_when=FIRST_COMPLETED).done if flying else ():
                self._land(flying.pop(future), future, self.suspects.append)
        return self.errors

    def _launch(self, flying: dict[Future, _Flight]) -> None:
        while self.queue and len(flying) < self.slots and not self.suspects:
            flight = heapq.heappop(self.queue)[2]
            try:
                flying[self.executor.submit(deliver, flight.order)] = flight
            except BrokenExecutor:
                self.suspects.append(flight)

    def _try_alone(self, flight: _Flight) -> None:
        try:
            future = self.executor.submit(deliver, flight.order)
        except BrokenExecutor:
            return self._lose(flight)
        self._land(flight, future, self._lose)

    def _ask(self, works: Sequence[Work]) -> None:
        for work in works:
            if work.claim.id in self.errors:
                continue
            try:
                tasks = missing(work.claim, work.rows)
                for task in tasks:
                    self._queue(work, task)
                if self.failed and (why := [self.failed[row] for row in self._named(work, tasks) if row in self.failed]):
                    self.errors[work.claim.id] = why[0]
            except Exception as error:  # the claim's own code: its plan, scope or constants
                self.errors[work.claim.id] = f"{type(error).__name__}: {error}"

    def _queue(self, work: Work, task: Task) -> None:
        digest = setting_hash(task.setting)
        seeds = tuple(seed for seed in task.seeds if (*work.subject, digest, seed) not in self.taken)
        if not seeds:
            return
        file = work.experiment.file
        if rebuild(load(file), plain(task.setting)) != task.setting:
            raise ValueError(f"a setting must survive as plain data (numbers, strings, tuples of them); {task.setting} does not")
        order = Order(str(file.parent.parent), str(file), work.claim.id, plain(task.setting), seeds, work.experiment.code)
        self.taken |= {(*work.subject, digest, seed) for seed in seeds}
        heapq.heappush(self.queue, (-_seconds_per_row(work.claim) * len(seeds), next(self.count), _Flight(work, order, digest)))

    def _land(self, flight: _Flight, future: Future, broken: Callable[[_Flight], None]) -> None:
        try:
            delivery: Delivery = future.result()
        except BrokenExecutor:
            return broken(flight)
        if delivery.error:
            return self._fail(flight, delivery.error)
        rows = self._rows(flight, delivery)
        self.store.put(rows)
        flight.work.rows.rows.update({(row.setting_hash, row.seed): row for row in rows})
        self.done += len(rows)
        self.progress(self.done, len(self.taken), flight.order.claim)
        self._ask([work for work in self.works if work.subject == flight.work.subject])

    def _rows(self, flight: _Flight, delivery: Delivery) -> list[Row]:
        code, subject = flight.work.subject
        seconds, today = delivery.seconds / len(flight.order.seeds), date.today().isoformat()
        return [
            Row(subject, flight.setting_hash, seed, code, flight.order.setting, values, seconds, today)
            for seed, values in zip(flight.order.seeds, delivery.values, strict=True)
        ]

    def _lose(self, flight: _Flight) -> None:
        self._fail(flight, "a worker process was killed while this ran, perhaps for memory; run again with fewer --workers")

    def _fail(self, flight: _Flight, sentence: str) -> None:
        """The claims that wait for these rows stop, and what nobody else waits for; all others go on."""
        subject = flight.work.subject
        self.failed |= {(*subject, flight.setting_hash, seed): sentence for seed in flight.order.seeds}
        mates = [work for work in self.works if work.subject == subject]
        self._ask(mates)
        going_on = [work for work in mates if work.claim.id not in self.errors]
        wanted = {row for work in going_on for row in self._named(work, missing(work.claim, work.rows))}

        waiting = [*self.suspects, *(entry[2] for entry in self.queue)]
        for other in waiting:
            rows = {(*subject, other.setting_hash, seed) for seed in other.order.seeds}
            if other.work.subject == subject and not rows & wanted:
                self.taken -= rows  # a later stage of another claim may still ask for them
                self.queue = [entry for entry in self.queue if entry[2] is not other]
                self.suspects = [suspect for suspect in self.suspects if suspect is not other]
        heapq.heapify(self.queue)

    @staticmethod
    def _named(work: Work, tasks: Sequence[Task]) -> list[tuple]:
        return [(*work.subject, setting_hash(task.setting), seed) for task in tasks for seed in task.seeds]


def _seconds_per_row(claim: Claim) -> float:
    rows = sum(len(task.seeds) for task in claim.plan.missing(lambda setting, seed: None))
    return claim.cost_s / max(1, rows)
