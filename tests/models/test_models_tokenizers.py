"""Tokenizers lose nothing, are the same in every process, and refuse what they cannot do."""

import subprocess
import sys

import numpy as np
import pytest

from sandbox.models.text import Corpus, corpus
from sandbox.models.tokenizers import BytePairs, Characters, Kept, train

ODD = "Ægypt’s  “naïve”\tline\n\n— 猫 \U0001f408\r end\u2028x "


@pytest.mark.parametrize("tokenizer", [Characters(), BytePairs(300)], ids=["characters", "bytes"])
def test_decoding_undoes_encoding_on_the_corpus(tokenizer):
    coder, content = tokenizer.codec(corpus()), corpus().content[-200_000:]
    ids = coder.encode(content)
    assert coder.decode(ids) == content
    assert 0 <= ids.min() and ids.max() < coder.size


def test_byte_pairs_keep_any_text():
    """Characters that training never saw, several blanks, line separators."""
    coder = BytePairs(300).codec(corpus())
    assert coder.decode(coder.encode(ODD)) == ODD


def test_characters_are_numbered_in_the_order_of_unicode():
    coder = Characters().codec(Corpus("x", "cab猫a"))
    assert coder.encode("abc猫").tolist() == [0, 1, 2, 3]
    assert coder.decode(np.array([3, 0])) == "猫a"
    assert coder.size == 4


def test_characters_refuse_a_stranger():
    coder = Characters().codec(Corpus("x", "abc"))
    with pytest.raises(ValueError, match="character 'z' at 2 is not among the 3 characters"):
        coder.encode("abz")


def test_byte_pairs_shorten_and_are_of_the_size_asked_for():
    content = corpus().content[:50_000]
    small, large = (BytePairs(vocab).codec(corpus()) for vocab in (300, 512))
    assert (small.size, large.size) == (300, 512)
    assert len(large.encode(content)) < len(small.encode(content)) < len(content)


def test_the_first_pair_learned_is_the_most_frequent():
    """Closed form: in "ababab ababab" the pair (a, b) is the most frequent, so the first merge is a + b."""
    import json

    state = json.loads(train("ababab ababab\n", 257))
    first = state["model"]["merges"][0]
    assert "".join(first).replace(" ", "") == "ab"


def test_training_twice_in_two_processes_gives_the_same_bytes():
    """Half a megabyte of text is enough for ties; hashing of strings differs between the processes."""
    code = (
        "import hashlib; from sandbox.models.text import corpus; from sandbox.models.tokenizers import train; "
        "print(hashlib.sha256(train(corpus().content[:500000], 400)).hexdigest())"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)]
    assert len(runs[0].strip()) == 64 and runs[0] == runs[1]


def test_byte_pairs_are_learned_from_the_pretraining_part_only():
    """Two texts that differ in the fine-tuning part share a tokenizer; two that differ in the other part do not."""
    first, tails = "the cat sat\n" * 80, ("zzzzzzzz\n" * 17, "qqqqqqqq\n" * 17)  # 960, 153 characters
    texts = [Corpus("x", first + tail) for tail in tails]  # "zz" comes 119 times, most pairs of the cat 80 times
    assert texts[0].part("tune") != texts[1].part("tune")
    assert BytePairs(260).codec(texts[0]).name == BytePairs(260).codec(texts[1]).name
    assert BytePairs(260).codec(Corpus("x", "a dog ran far\n" * 80)).name != BytePairs(260).codec(texts[0]).name


def test_refuses_fewer_tokens_than_bytes_and_more_than_the_text_yields():
    with pytest.raises(ValueError, match=r"byte pairs need vocab >= 256, .* got 255; .*Characters"):
        BytePairs(255)
    with pytest.raises(ValueError, match=r"8 characters of 'tiny' yield only \d+ tokens of the 512 asked for: use BytePairs"):
        BytePairs(512).codec(Corpus("tiny", "abababab" + "ab"))


def test_a_kept_tokenizer_is_read_from_its_file(tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(train("ababab\n", 257))
    coder = Kept(str(tmp_path / "tokenizer.json")).codec(corpus())
    assert coder.size == 257
    assert coder.decode(coder.encode(ODD)) == ODD
    with pytest.raises(ValueError, match="none.json' does not exist"):
        Kept(str(tmp_path / "none.json")).codec(corpus())
