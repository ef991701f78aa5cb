"""A folder is tried out for real and left as it was."""

import pytest

from sandbox.outputs import require_writable


def test_nothing_is_left_behind(tmp_path):
    require_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    require_writable(tmp_path / "kept")
    require_writable(tmp_path / "kept" / "new")
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["file"]


def test_an_empty_folder_that_was_there_stays(tmp_path):
    (tmp_path / "empty").mkdir()
    require_writable(tmp_path / "empty")
    assert (tmp_path / "empty").is_dir()


@pytest.mark.parametrize("below", ["file", "file/deep", "file/a/b"])
def test_a_file_in_the_way_is_named(tmp_path, below):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match=f"can be written, and {tmp_path / below} cannot: .*; choose another one"):
        require_writable(tmp_path / below)
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_of_the_system_that_takes_no_files():
    """Even the superuser cannot make one in /proc; where there is no /proc, below a name that is too long."""
    from pathlib import Path

    where = Path("/proc/results") if Path("/proc/self").exists() else Path("/tmp") / ("x" * 5000)
    with pytest.raises(ValueError, match="choose another one"):
        require_writable(where)
