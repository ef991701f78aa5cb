"""Texts of a job: each window once, the same for any number of ranks, and a sentence where there are too few."""

import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import torch

from sandbox.handoff.recipe import Recipe
from sandbox.optimizers.adamw import AdamW
from sandbox.scale.data import DataEnded, Once, Streamed, source_of
from sandbox.scale.job import Ranks
from sandbox.scale.text import Coder, documents_of, windows
from sandbox.scale.train import train
from tests.scale.cards import WORDS, card_of, tiny

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def problem(place):
    return tiny("scale_words.txt", batch_size=3)


@pytest.fixture(scope="module")
def path(place, problem):
    return card_of(Recipe(problem, AdamW(0.01), steps=12), place / "data.json")


def once(n=101, seed=0):
    return Once(torch.arange(n, dtype=torch.int32), seed, batch_size=4, context=5, kept_out=10, name="the text")


def test_every_window_comes_once_and_held_out_ones_never():
    source = once()
    assert (source.all_windows, source.n_held_out, source.steps) == (20, 2, 4)
    rows = torch.cat([source.batch(k) for k in range(4)])
    starts = rows[:, 0].tolist()
    assert len(set(starts)) == 16 and not set(starts) & set(source.held_out()[:, 0].tolist())
    assert torch.equal(rows, rows[:, :1] + torch.arange(6)) and all(start % 5 == 0 for start in starts)


def test_the_order_is_a_function_of_the_seed():
    assert torch.equal(once().batch(2), once().batch(2))
    assert not torch.equal(once().batch(0), once(seed=1).batch(0))


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_ranks_share_a_batch_and_weigh_their_means_right(world):
    rows = torch.arange(6.0)[:, None] ** 2
    parts = [Ranks(rank, world, CPU).share(rows) for rank in range(world)]
    assert sum(float(part.mean()) * weight for part, weight in parts) / world == pytest.approx(float(rows.mean()), rel=1e-6)
    assert sum(weight for _, weight in parts) == pytest.approx(world)


def test_a_text_that_ends_early_is_said_before_the_first_step(path, place):
    (place / "short.txt").write_text(WORDS[:400])
    said = []
    words = (
        r"the text 'short.txt' has 401 tokens, that is 45 windows of 8 for training, and 40 steps of 3 need 120: it ends after step 15; "
    )
    with pytest.raises(ValueError, match=words + "give --steps 15 at most"):
        train(path, text="short.txt", steps=40, say=said.append)
    assert said == []
    assert len(train(path, text="short.txt", steps=15, say=said.append).losses) == 15


def stream(texts, **changes):
    coder = Coder(types.SimpleNamespace(size=128, encode=lambda text: np.frombuffer(text.encode(), "u1").astype("i8")))
    return Streamed(lambda: iter(texts), coder, **{"batch_size": 2, "context": 4, "kept_out": 8, "name": "hub:x"} | changes)


def test_a_stream_gives_the_same_batch_whether_it_was_read_to_it_or_opened_there():
    texts = ["abcdefghijk", "lmnopqrst", "uvwxyzabcdefghijklmnopqrstuvwxyz"]
    read, fresh = stream(texts), stream(texts)
    batches = [read.batch(k) for k in range(3)]
    assert torch.equal(fresh.batch(2), batches[2]) and torch.equal(fresh.batch(0), batches[0])
    text = torch.tensor(list("\n".join(texts).encode()))
    assert torch.equal(batches[0], text[8:].unfold(0, 5, 4)[:2])  # after two windows that are held out
    assert torch.equal(read.held_out(), text.unfold(0, 5, 4)[:2])


def test_a_stream_that_ends_says_where():
    with pytest.raises(DataEnded, match="hub:x has ended: 2 windows from number 4 on were wanted and 1 were left"):
        source = stream(["abcdefghijklmnopqrstu"])
        [source.batch(k) for k in range(3)]
    with pytest.raises(DataEnded, match="hub:x has 1 windows, and 2 are held out"):
        stream(["abcdef"]).held_out()


def test_a_job_whose_stream_ends_keeps_what_it_has_learned(path, place, monkeypatch):
    rows = [{"text": line} for line in WORDS[:600].splitlines()]
    fake = types.SimpleNamespace(load_dataset=lambda name, config, split, streaming: iter(rows))
    monkeypatch.setitem(sys.modules, "datasets", fake)
    out = place / "stream"
    words = r"hub:words has ended: .*; 2\d of 40 steps were made, and what they have learned is kept"
    with pytest.raises(ValueError, match=words):
        train(short_held_out(place), text="hub:words", steps=40, out=out, say=lambda line: None)
    assert len(list((out / "checkpoints").glob("step-*"))) == 1


def streams(monkeypatch, rows, breaks=None):
    """A hub whose data set has these rows, and then an error."""

    def load_dataset(name, config, split, streaming):
        yield from rows
        if breaks is not None:
            raise breaks

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))


@pytest.mark.parametrize(
    ("text", "rows", "breaks", "words"),
    [
        ("hub:", [], None, "'hub:' names no data set; give hub:NAME, hub:NAME:CONFIG or hub:NAME:CONFIG:SPLIT"),
        ("hub:x", [], ConnectionError("no\nroute \x1b[2J"), r"hub:x cannot be read: no route \\x1b\[2J; give another data set, a file or"),
        ("hub:x", [], KeyError(), "hub:x cannot be read: KeyError; give another"),
        ("hub:x", [{"content": "a", "id": 1}], None, "hub:x cannot be read: a column 'text' is needed, and a row of it has content, id;"),
        ("hub:x", [{"text": 3}], None, "its column 'text' must hold texts, and a row of it is a int"),
        ("hub:x", [{"text": "a stitch"}], None, "hub:x has 1 windows, and 2 are held out; give another data set"),
    ],
)
def test_a_stream_that_cannot_be_read_is_said_before_anything_is_trained(text, rows, breaks, words, place, monkeypatch):
    """In particular before the ten losses, and not at the end, where what is held out is looked at."""
    streams(monkeypatch, rows, breaks)
    said = []
    with pytest.raises(ValueError, match=words):
        train(short_held_out(place), text=text, say=said.append)
    assert said == []


def test_a_stream_that_breaks_off_leaves_the_checkpoints_to_go_on_from(place, monkeypatch):
    rows = [{"text": line} for line in WORDS.splitlines()]
    card, out, said = short_held_out(place), place / "broken", []
    options = {"text": "hub:x", "steps": 40, "out": out, "checkpoint_every": 10}
    streams(monkeypatch, rows[:12], ConnectionError("the line is dead"))
    with pytest.raises(ValueError, match="hub:x cannot be read: the line is dead"):
        train(card, **options, say=lambda line: None)
    streams(monkeypatch, rows)
    again = train(card, **options, say=said.append)
    assert any("goes on after step" in line for line in said)
    assert again.losses == train(card, text="hub:x", steps=40, say=lambda line: None).losses


def short_held_out(place):
    """The same card with 16 tokens held out, for a short stream."""
    problem = replace(tiny("scale_words.txt", batch_size=3), held_out_tokens=16)
    return card_of(Recipe(problem, AdamW(0.01), steps=12), place / "held.json")


def test_packages_that_are_missing_are_named(path, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (place / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="hub:words needs the package datasets: pip install datasets"):
        train(path, text="hub:words")
    with pytest.raises(ValueError, match="a.parquet needs the package pyarrow to be read"):
        train(path, text="a.parquet")


def test_parquet_gives_its_texts_and_a_cut_file_is_said(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    file = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["one", "", "two"]}), file)
    assert list(documents_of(file)) == ["one", "two"]
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ValueError, match='a.parquet cannot be read as Parquet with a column "text"'):
        list(documents_of(file))
    parquet.write_table(pyarrow.table({"content": ["one"], "id": [1]}), file)
    with pytest.raises(ValueError, match="a column 'text' is needed, and .*a.parquet has content, id"):
        list(documents_of(file))
    parquet.write_table(pyarrow.table({"text": [1, 2]}), file)
    with pytest.raises(ValueError, match="its column 'text' must hold texts, and a row of .*a.parquet is a int"):
        list(documents_of(file))


def test_texts_and_tokenizers_that_are_not_there(path, problem, place):
    with pytest.raises(ValueError, match="the text 'nowhere' must be a file, a folder with"):
        train(path, text="nowhere")
    with pytest.raises(ValueError, match="the tokenizer 'nowhere' does not exist"):
        train(path, tokenizer="nowhere")
    (place / "no_tokenizer.json").write_text('{"model": "\\u001b[2J"}')
    with pytest.raises(ValueError, match="the tokenizer 'no_tokenizer.json' is no tokenizer.json of the library tokenizers: "):
        train(path, tokenizer="no_tokenizer.json")
    (place / "few.txt").write_text(WORDS[:20])
    with pytest.raises(ValueError, match="it ends after step 0; give a smaller --batch, or a longer text"):
        train(path, text="few.txt", steps=1)
    (place / "binary.txt").write_bytes(b"a\0b")
    with pytest.raises(ValueError, match="'binary.txt' is binary: byte 1 of 3 is 0"):
        source_of("binary.txt", None, problem, seed=0, steps=1)


def test_windows_go_over_the_ends_of_documents():
    coder = Coder(types.SimpleNamespace(encode=lambda text: np.arange(len(text))))
    assert [row.tolist() for row in windows(coder, ["ab", "cd", "e"], 3)] == [[0, 1, 2, 0], [0, 1, 2, 0]]
