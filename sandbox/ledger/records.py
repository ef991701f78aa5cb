"""Records: rows of the slow tiers, exported to `experiments/records/<file stem>.json` and read back whatever the code version is now.

    {"schema": 1, "subjects": {subject: {"code", "torch", "rows": [{"setting", "seed", "values", "seconds", "date"}, ...]}}}

One row to a line, sorted, so that a new record shows as a small difference. A row that another code version made has a "code" of its own.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.ledger.code_version import torch_version
from sandbox.ledger.collect import Experiment
from sandbox.ledger.store import Row

SCHEMA = 1
Rows = dict[tuple[str, int], Row]


def path_of(experiment: Experiment) -> Path:
    return experiment.file.parent / "records" / f"{experiment.file.stem}.json"


def read(experiment: Experiment) -> dict[str, Rows]:
    """By subject; {} where nothing is recorded. Raises ValueError, with the path, for a file that is no record of this schema."""
    path = path_of(experiment)
    return _content(path)[1] if path.is_file() else {}


def write(experiment: Experiment, measured: Mapping[str, Rows]) -> Path:
    """Put the rows in `measured` in the place of the same rows, and keep all others: claims that share a subject may be run one
    by one. Raises ValueError where the folder cannot be written.
    """
    path = path_of(experiment)
    subjects, before = _content(path) if path.is_file() else ({}, {})
    for subject, rows in measured.items():
        every = before.get(subject, {}) | rows
        subjects[subject] = {"code": experiment.code, "torch": torch_version(), "rows": _plain(every, experiment.code)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(_text(subjects))
        partial.replace(path)  # a kill leaves the old record or the new one
    except OSError as error:
        raise ValueError(f"the record {path} cannot be written: {error}; make the folder writable") from error
    return path


def _content(path: Path) -> tuple[dict[str, Any], dict[str, Rows]]:
    """(the subjects as they stand in the file, their rows)."""
    try:
        content = json.loads(path.read_text())
        if content["schema"] == SCHEMA:
            subjects = content["subjects"]
            _ = [entry["torch"] for entry in subjects.values()]  # `write` puts it back
            return subjects, {subject: _rows(subject, entry) for subject, entry in subjects.items()}
        problem = f"it has schema {content['schema']} and this code reads schema {SCHEMA}"
    except KeyError as error:
        problem = f"it is damaged (the key {error} is missing)"
    except (ValueError, TypeError, AttributeError) as error:
        problem = f"it is damaged ({type(error).__name__}: {error})"
    raise ValueError(f"the record {path} cannot be read: {problem}; restore it from version control or move it away")


def _rows(subject: str, entry: Mapping[str, Any]) -> Rows:
    """Raises KeyError or TypeError for an entry that is not of the schema."""
    rows = {}
    for row in entry["rows"]:
        digest = hashlib.sha256(json.dumps(row["setting"], sort_keys=True).encode()).hexdigest()[:16]
        values = (row["setting"], row["values"], row["seconds"], row["date"])
        rows[digest, row["seed"]] = Row(subject, digest, row["seed"], row.get("code", entry["code"]), *values)
    return rows


def _plain(rows: Rows, code: str) -> list[dict[str, Any]]:
    return [_line(rows[name], code) for name in sorted(rows)]


def _line(row: Row, code: str) -> dict[str, Any]:
    keys = ("setting", "seed", "values", "date")
    own = {} if row.code == code else {"code": row.code}
    return {key: getattr(row, key) for key in keys} | {"seconds": round(row.seconds, 3)} | own


def _text(subjects: Mapping[str, Any]) -> str:
    blocks = []
    for subject in sorted(subjects):
        entry = subjects[subject]
        head = f'"code": {json.dumps(entry["code"])}, "torch": {json.dumps(entry["torch"])}'
        blocks.append(f'  {json.dumps(subject)}: {{{head}, "rows": [\n{_lines(entry["rows"])}\n  ]}}')
    return f'{{"schema": {SCHEMA}, "subjects": {{\n' + ",\n".join(blocks) + "\n}}\n"


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return ",\n".join("    " + json.dumps(row, sort_keys=True) for row in rows)
