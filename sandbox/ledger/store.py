"""The ledger on disk: one SQLite file, one row for every (subject, setting, seed, code version).

Rows are committed as they come, so a run that is killed loses only what was still running. One process writes; workers only compute.
NaN and infinity are kept (JSON as Python writes it). Nothing is ever deleted here.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1  # PRAGMA user_version; raise it when the table changes

_TABLE = """CREATE TABLE rows (
    subject TEXT NOT NULL, setting_hash TEXT NOT NULL, seed INTEGER NOT NULL, code TEXT NOT NULL,
    setting TEXT NOT NULL, "values" TEXT NOT NULL, seconds REAL NOT NULL, date TEXT NOT NULL,
    PRIMARY KEY (subject, setting_hash, seed, code)
) WITHOUT ROWID"""


@dataclass(frozen=True)
class Row:
    """What one seed of one setting gave. setting: plain JSON with its class name.  seconds: worker time.  date: YYYY-MM-DD."""

    subject: str
    setting_hash: str
    seed: int
    code: str
    setting: Mapping[str, Any]
    values: Mapping[str, Any]
    seconds: float
    date: str


class Store:
    """An open ledger; use it in a `with` block.

    Raises ValueError, one sentence with the path, for a file that is no ledger of this version.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(path, timeout=30)
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise self._sentence(error) from error

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def rows(self, subject: str, code: str) -> dict[tuple[str, int], Row]:
        """By (setting hash, seed)."""
        query = 'SELECT setting_hash, seed, setting, "values", seconds, date FROM rows WHERE subject = ? AND code = ?'
        try:
            found = self.connection.execute(query, (subject, code)).fetchall()
        except sqlite3.Error as error:
            raise self._sentence(error) from error
        settings = {text: json.loads(text) for text in {text for _, _, text, *_ in found}}  # many seeds share one
        rows = (Row(subject, h, n, code, settings[s], json.loads(v), t, d) for h, n, s, v, t, d in found)
        return {(row.setting_hash, row.seed): row for row in rows}

    def put(self, rows: Sequence[Row]) -> None:
        """Write and commit; a row with the same key is replaced."""
        plain = [
            (r.subject, r.setting_hash, r.seed, r.code, json.dumps(r.setting, sort_keys=True), json.dumps(r.values), r.seconds, r.date)
            for r in rows
        ]
        try:
            with self.connection:
                self.connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?)", plain)
        except sqlite3.Error as error:
            raise self._sentence(error) from error

    def _open(self) -> None:
        one = lambda query: self.connection.execute(query).fetchone()[0]  # noqa: E731
        tables, version = one("SELECT count(*) FROM sqlite_master"), one("PRAGMA user_version")
        if tables and version != SCHEMA:
            raise ValueError(
                f"the ledger {self.path} has version {version} and this code reads version {SCHEMA}; move the file away "
                "(nothing is deleted for you) and run again, or use the code that wrote it"
            )
        if one("PRAGMA quick_check(1)") != "ok":
            raise sqlite3.DatabaseError("pages are missing or damaged")
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        if not tables:
            with self.connection:  # one transaction, so that a kill leaves either nothing or a whole ledger
                self.connection.execute("BEGIN IMMEDIATE")
                self.connection.execute(_TABLE)
                self.connection.execute(f"PRAGMA user_version = {SCHEMA}")

    def _sentence(self, error: Exception) -> ValueError:
        text = str(error)
        if isinstance(error, sqlite3.OperationalError | OSError) and "malformed" not in text:
            advice = "free some space there, make it writable, end the other run that holds it, or choose another folder with --out DIR"
            return ValueError(f"the ledger {self.path} cannot be used: {text}; {advice}; rows stored before are safe")
        return ValueError(
            f"the ledger {self.path} is truncated or is no SQLite file ({text}); move it away (nothing is deleted for you) and run again: "
            "what it held will be measured anew"
        )
