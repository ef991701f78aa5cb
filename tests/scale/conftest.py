"""A folder with a text, which the tests of the trainer work in: a card reads texts below the working folder."""

import os

import pytest

from tests.scale.cards import text_in


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder, before = tmp_path_factory.mktemp("place"), os.getcwd()
    text_in(folder)
    os.chdir(folder)
    yield folder
    os.chdir(before)
