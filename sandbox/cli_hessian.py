"""What `sandbox hessian` does: survey every tensor of every target, keep each as it is done, and draw what was found.

Kept in OUT/hessian.json: one entry per tensor and target, by a key that covers weights, batches, partitions, cost and seed. What is
there is not computed again, so a survey that was stopped goes on. Nor is the heat map of the whole Hessian (1.7 s of a core for the
built-in llama with 5,440 entries, 1.1 s for gpt with 4,384): the file says of what the picture beside it is.

Torch runs on one thread. Two were tried on two cores that other processes used too: 16 products at once in 1,056 and in 16,384 entries
took 11 and 7 ms by one thread and, because every operator waits for both, no less than 145 and 36 ms by two (the best of many).
"""

import fnmatch
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from sandbox.curvature import structure
from sandbox.curvature.dense import dense
from sandbox.curvature.hessian import Hessian
from sandbox.curvature.heterogeneity import Spectrum
from sandbox.curvature.objective import objective
from sandbox.curvature.operators import hessian
from sandbox.curvature.survey import Cost, MassRow, Target, TensorSurvey, check_target, keys_of, survey_tensor
from sandbox.models.text import write_atomically
from sandbox.report import figures, hessian_figures

Progress = Callable[[int, int, str], None]
PICTURE = 6_000  # entries of a whole Hessian that is drawn: 144 MB in float32, a minute of work at most


@dataclass(frozen=True)
class Done:
    """One tensor of one target. key: that of `keys_of`."""

    target: str
    survey: TensorSurvey
    key: str


class Kept:
    """What earlier calls found, in one file. drawn: key of the heat map beside it.

    Raises ValueError for a file that is none of ours.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path, self.fresh, self.found, self.drawn = path, fresh, {}, ""
        if path.exists() and not fresh:
            try:
                text = json.loads(path.read_text())
                self.found = {key: _read(one) for key, one in text["surveys"].items()}
                self.drawn = text.get("drawn", "")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{path} must be what an earlier survey wrote, but: {error}; move it away or give --fresh") from error

    def keep(self, key: str, one: TensorSurvey) -> None:
        self.found[key] = one
        self._write()

    def draw(self, key: str) -> None:
        self.drawn = key
        self._write()

    def stopped(self) -> str:
        """What Ctrl-C leaves, in one sentence."""
        if not self.found:
            return "interrupted before a tensor was done, so nothing is kept; the same command starts over"
        again = "the same command without --fresh" if self.fresh else "the same command"
        return f"interrupted; every finished tensor is kept in {self.path} ({len(self.found)} so far), {again} goes on from there"

    def _write(self) -> None:
        surveys = {key: _written(one) for key, one in self.found.items()}
        write_atomically(self.path, json.dumps({"surveys": surveys, "drawn": self.drawn}).encode())


def chosen(target: Target, patterns: Sequence[str]) -> list[str]:
    """The tensors that a pattern names; without patterns all matrices, but no frozen ones beside others that are trained.

    Raises ValueError for a pattern that names nothing, and without patterns where there is no matrix.
    """
    names = list(target.params)
    if not patterns:
        floating = [name for name in names if target.params[name].is_floating_point()]
        trained = [name for name in floating if target.params[name].requires_grad] or floating
        matrices = [name for name in trained if target.params[name].ndim >= 2]
        if not matrices:
            raise ValueError(f"{target.title} must have a matrix that is trained, but has {names}: choose among these with --tensors")
        return matrices
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            shown = f"{names[:12]} and {len(names) - 12} more" if len(names) > 12 else f"{names}"
            raise ValueError(
                f"--tensors {pattern!r} must name a tensor, but {target.title} has {shown}: choose among these (* stands for any)"
            )
    return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def surveyed(
    targets: Sequence[Target], patterns: Sequence[str], kept: Kept, *, cost: Cost, seed: int, say: Progress = lambda *_: None
) -> Iterator[Done]:
    """One `Done` after the other. Raises ValueError, before the work on a target, where its loss or a partition does not fit."""
    torch.set_num_threads(1)
    plan = [(target, chosen(target, patterns)) for target in targets]
    total, done = sum(len(names) for _, names in plan), 0
    for target, names in plan:
        keys = keys_of(target, names, cost, seed)
        if any(key not in kept.found for key in keys.values()):
            check_target(target, names)
        for name, key in keys.items():
            say(done, total, f"{target.title}: {name}")
            if key not in kept.found:
                kept.keep(key, survey_tensor(target, name, cost=cost, seed=seed))
            done += 1
            yield Done(target.title, kept.found[key], key)
    say(done, total, "done")


def hessian_command(
    targets: Sequence[Target], patterns: Sequence[str], kept: Kept, *, cost: Cost, seed: int, say: Progress
) -> tuple[list[dict[str, Any]], dict[Path, Literal["wrote", "kept"]]]:
    """The rows of the survey as plain values, and the pictures beside what is kept."""
    done = list(surveyed(targets, patterns, kept, cost=cost, seed=seed, say=say))
    rows = [_plain(one.target, row) for one in done for row in one.survey.rows]
    pictures = {"spectra": hessian_figures.spectra(_by_tensor(done), "spectra")}
    if len(targets) > 1:
        titles = [target.title for target in targets]
        pictures["excess"] = hessian_figures.over_targets(_excess(rows), titles, "excess")
    folder, files = kept.path.parent, {}
    for name, drawn in pictures.items():
        write_atomically(folder / f"{name}.svg", drawn)
        files[folder / f"{name}.svg"] = "wrote"
    names = chosen(targets[-1], patterns)
    return rows, files | _heat_map(targets[-1], names, [one.key for one in done[-len(names) :]], kept)


def _heat_map(target: Target, names: Sequence[str], keys: Sequence[str], kept: Kept) -> dict[Path, Literal["wrote", "kept"]]:
    """The picture of the named tensors together, drawn unless it lies there already; none where they are too large."""
    key, path = hashlib.sha256(repr(keys).encode()).hexdigest()[:16], kept.path.parent / "hessian.svg"
    if kept.drawn == key and path.exists():
        return {path: "kept"}
    last = whole_matrix(target, names, PICTURE)
    if last is None:
        return {}
    picture = structure.heat_map(last)
    edges, short = [round(edge) for edge in picture.edges], [hessian_figures.short(name) for name in picture.names]
    write_atomically(path, figures.heat_map(picture.values, edges, f"{target.title}, |H|", names=short))
    kept.draw(key)
    return {path: "wrote"}


def _plain(target: str, row: MassRow) -> dict[str, Any]:
    """JSON has no nan: an excess that does not exist (one block, or a diagonal Hessian) is null."""
    values = {key: None if value != value else value for key, value in asdict(row).items()}
    return {"id": f"{target}/{row.name}/{row.partition}", "status": "measured", "target": target} | values


def _by_tensor(done: Sequence[Done]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in done:
        spectrum = one.survey.spectrum
        found.setdefault(one.survey.name, {})[one.target] = (spectrum.nodes, spectrum.weights)
    return found


def _excess(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        excess = float("nan") if row["excess"] is None else row["excess"]
        found.setdefault(row["name"], {}).setdefault(row["partition"], []).append(excess)
    return found


def whole_matrix(target: Target, names: Sequence[str], most: int) -> Hessian | None:
    """The Hessian in the named tensors together, float32; None where they hold more than `most` entries."""
    if sum(target.params[name].numel() for name in names) > most:
        return None
    matrix = hessian(objective(target.loss, target.params, target.batches, names=names, dtype=torch.float32))
    return Hessian(dense(matrix), matrix.layout)


def _written(one: TensorSurvey) -> dict[str, Any]:
    spectrum = {"nodes": one.spectrum.nodes.tolist(), "weights": one.spectrum.weights.tolist()}
    return {"name": one.name, "rows": [asdict(row) for row in one.rows], "spectrum": spectrum}


def _read(one: dict[str, Any]) -> TensorSurvey:
    spectrum = Spectrum(np.array(one["spectrum"]["nodes"]), np.array(one["spectrum"]["weights"]))
    return TensorSurvey(one["name"], tuple(MassRow(**row) for row in one["rows"]), spectrum)
