"""One file, crash-safe, and a sentence for every way in which it can be wrong."""

import math
import sqlite3
from dataclasses import replace

import pytest

from sandbox.ledger.store import SCHEMA, Row, Store

ROW = Row("toy", "abc", 3, "c0de", {"type": "S", "x": 0.1}, {"y": 1 / 3, "list": [1, 2]}, 0.25, "2026-01-02")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results" / "ledger.sqlite"


def filled(path, rows=(ROW,)):
    with Store(path) as store:
        store.put(rows)
    return path


def test_what_goes_in_comes_out_in_another_process(path):
    filled(path)
    with Store(path) as store:
        assert store.rows("toy", "c0de") == {("abc", 3): ROW}


@pytest.mark.parametrize("value", [math.inf, -math.inf, 5e-324, 0.1 + 0.2, 2**53 + 1, True, None, "ü"])
def test_values_survive_bit_for_bit(path, value):
    filled(path, [replace(ROW, values={"y": value})])
    with Store(path) as store:
        assert store.rows("toy", "c0de")["abc", 3].values["y"] == value


def test_nan_survives(path):
    filled(path, [replace(ROW, values={"y": math.nan})])
    with Store(path) as store:
        assert math.isnan(store.rows("toy", "c0de")["abc", 3].values["y"])


def test_the_key_is_subject_setting_seed_and_code(path):
    others = [replace(ROW, **{name: value}) for name, value in (("subject", "b"), ("setting_hash", "b"), ("seed", 4), ("code", "b"))]
    filled(path, [ROW, *others])
    with Store(path) as store:
        assert set(store.rows("toy", "c0de")) == {("abc", 3), ("b", 3), ("abc", 4)}
        assert len(store.rows("b", "c0de")) == len(store.rows("toy", "b")) == 1


def test_the_same_key_is_replaced_and_not_counted_twice(path):
    filled(path, [ROW, replace(ROW, values={"y": 2})])
    with Store(path) as store:
        assert store.rows("toy", "c0de")["abc", 3].values == {"y": 2}


def test_every_put_is_committed_before_the_next(path):
    store = Store(path)
    store.put([ROW])
    with Store(path) as other:  # the first is still open
        assert other.rows("toy", "c0de")
    store.__exit__()


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_named_and_kept(path, keep):
    filled(path, [replace(ROW, seed=i, values={"y": "x" * 500}) for i in range(200)])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"the ledger {path} is truncated or is no SQLite file .*nothing is deleted"):
        Store(path)
    assert path.read_bytes() == before


def test_a_page_of_rubbish_in_the_middle_is_found_at_once(path):
    filled(path, [replace(ROW, seed=i, values={"y": "x" * 500}) for i in range(200)])
    whole = bytearray(path.read_bytes())
    whole[5 * 4096 : 5 * 4096 + 200] = b"\xff" * 200
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="is truncated or is no SQLite file"):
        Store(path)


@pytest.mark.parametrize("content", [b"hello, this is a text file and no database at all" * 10, b"SQLite format 3\x00", b"\x00" * 5000])
def test_something_else_is_named_and_kept(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is truncated or is no SQLite file"):
        Store(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("version", [SCHEMA + 1, 0])
def test_another_version_is_named_and_kept(path, version):
    filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(ValueError, match=f"{path} has version {version} and this code reads version {SCHEMA}; move the file away"):
        Store(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM rows").fetchone() == (1,)
    connection.close()


def test_an_empty_file_is_a_new_ledger(path):
    """What a kill between creating the file and its first transaction leaves."""
    path.parent.mkdir()
    path.touch()
    assert filled(path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "results").write_text("a file, not a folder")
    with pytest.raises(ValueError, match=r"cannot be used: .*make it writable"):
        Store(tmp_path / "results" / "ledger.sqlite")


def test_a_full_disk_is_a_sentence_and_keeps_what_was_there(path):
    filled(path)
    with Store(path) as store:
        pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
        store.connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own way to say: the disk is full
        with pytest.raises(ValueError, match=r"cannot be used: database or disk is full; free some space"):
            store.put([replace(ROW, seed=i, values={"y": "x" * 5000}) for i in range(50)])
        assert set(store.rows("toy", "c0de")) == {("abc", 3)}  # all of a delivery or nothing


def test_another_process_that_holds_it(path):
    filled(path)
    holder = sqlite3.connect(path)
    holder.execute("BEGIN IMMEDIATE")
    with Store(path) as store:
        store.connection.execute("PRAGMA busy_timeout = 10")
        with pytest.raises(ValueError, match="database is locked; .*end the other run"):
            store.put([ROW])
    holder.close()
