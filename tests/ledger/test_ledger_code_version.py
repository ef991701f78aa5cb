"""The code version moves when something that the experiment rests on moves, and at nothing else."""

import pytest

from sandbox.ledger import code_version as module
from sandbox.ledger.code_version import code_version, sources_of

FILES = {
    "pkg/__init__.py": "",
    "pkg/base.py": "X = 1\n",
    "pkg/unused.py": "Y = 1\n",
    "pkg/room/__init__.py": "",
    "pkg/room/near.py": "import pkg.room.far\n",
    "pkg/room/far.py": "def f():\n    from pkg.base import X\n    return X\n",
    "pkg/room/sibling.py": "Z = 1\n",
    "experiment.py": "import os\nfrom pkg.room import near\nfrom otherpkg.base import X\nCLAIMS = ()\n",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    module.imported.cache_clear()
    yield tmp_path
    module.imported.cache_clear()


def version(tree):
    module.imported.cache_clear()
    return code_version(tree / "experiment.py", tree / "pkg")


def test_sources_are_followed_through_both_spellings_and_into_functions(tree):
    found = {path.relative_to(tree).as_posix() for path in sources_of(tree / "experiment.py", tree / "pkg")}
    assert found == set(FILES) - {"pkg/unused.py", "pkg/room/sibling.py", "experiment.py"}


@pytest.mark.parametrize("name", sorted(FILES))
def test_only_what_is_imported_counts(tree, name):
    before = version(tree)
    (tree / name).write_text(FILES[name] + "# changed\n")
    changed = version(tree) != before
    assert changed == (name not in ("pkg/unused.py", "pkg/room/sibling.py"))


def test_torch_counts(tree, monkeypatch):
    before = version(tree)
    monkeypatch.setattr(module, "torch_version", lambda: "99.0")
    assert version(tree) != before


def test_another_place_is_the_same_code(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("elsewhere") / "copy"
    import shutil

    shutil.copytree(tree, other)
    assert version(tree) == version(other)
    assert len(version(tree)) == 16


def test_moving_code_between_two_files_counts(tree):
    before = version(tree)
    (tree / "pkg/base.py").write_text("")
    (tree / "pkg/room/__init__.py").write_text("X = 1\n")
    assert version(tree) != before


def test_sandbox_itself_and_without_importing_torch(root):
    """The installed package is found, and reading versions loads nothing heavy."""
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from sandbox.ledger.code_version import sources_of, torch_version; "
        f"names = {{p.name for p in sources_of(Path({str(root / 'sandbox/run.py')!r}))}}; torch_version(); "
        "assert {'backprop.py', 'draws.py', 'stepwise.py'} <= names, names; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
