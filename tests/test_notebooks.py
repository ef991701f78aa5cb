"""Every lesson runs from top to bottom, and keeps the form that lets a reader trust it.

No kernel: the cells are compiled and executed in one namespace, in the folder of the notebook, as Jupyter would.
"""

import ast
import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def faults(notebook: dict) -> list[str]:
    """What a notebook does against the house style."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    text = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    found = []
    for i, cell in enumerate(code):
        source = "".join(cell["source"])
        tree = ast.parse(source)
        defined = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
        found += [f"code cell {i} defines {node.name}: move it into a room and import it" for node in defined]
        if len(source.splitlines()) > 12:
            found.append(f"code cell {i} has {len(source.splitlines())} lines, at most 12")
        if cell.get("outputs") or cell.get("execution_count"):
            found.append(f"code cell {i} keeps an output: clear all outputs before saving")
        late = any(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body) and i > 0
        found += [f"code cell {i} imports: imports stand in the first code cell"] if late else []
    if len(text) < len(code):
        found.append(f"{len(text)} text cells for {len(code)} code cells: at least as many")
    if not text or not any(line.startswith("# ") and line.rstrip().endswith("?") for line in text[0]["source"]):
        found.append("the title is a question")
    return found


def test_there_is_a_lesson():
    assert NOTEBOOKS


@each_notebook
def test_a_lesson_keeps_the_form(path):
    assert faults(json.loads(path.read_text())) == []


@each_notebook
def test_a_lesson_predicts_checks_and_sets_an_exercise(path):
    text = "\n".join(cells(path, "markdown"))
    assert all(f"## {heading}" in text for heading in ("Predict", "Check", "Exercise"))
    assert any("assert " in source for source in cells(path, "code"))


@each_notebook
def test_names_and_paths_in_the_text_exist(path, root):
    """Links to files, and steps of proofs that an exercise points to."""
    text = "\n".join(cells(path, "markdown"))
    for link in (part.split(")")[0] for part in text.split("](../")[1:]):
        assert (root / link).is_file(), link
    proofs = "\n".join(proof.read_text() for proof in (root / "proofs").glob("*.py"))
    for step in (word.strip("`,;.") for word in text.split() if word.startswith("`step_")):
        assert f"def {step}(" in proofs, step


@each_notebook
def test_a_lesson_runs_from_top_to_bottom(path, monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.chdir(path.parent)
    namespace = {"__name__": "__main__"}
    for i, source in enumerate(cells(path, "code")):
        exec(compile(source, f"{path.name}, code cell {i}", "exec"), namespace)
    assert any("assert " in source for source in cells(path, "code")), "a lesson holds itself to what it says"


def code_cell(source: str, **fields) -> dict:
    return {
        "cell_type": "code",
        "source": source.splitlines(keepends=True),
        "outputs": [],
        "execution_count": None,
    } | fields


TITLE = {"cell_type": "markdown", "source": ["# Is it so?\n"]}


@pytest.mark.parametrize(
    "cells_, complaint",
    [
        ([TITLE, code_cell("def f():\n    return 1")], "defines f"),
        ([TITLE, code_cell("\n".join(["x = 1"] * 13))], "13 lines"),
        ([TITLE, code_cell("x = 1", outputs=[{"text": "1"}])], "keeps an output"),
        ([TITLE, TITLE, code_cell("x = 1"), code_cell("import os")], "code cell 1 imports"),
        ([TITLE, code_cell("x = 1"), code_cell("y = 1")], "1 text cells for 2 code cells"),
        ([{"cell_type": "markdown", "source": ["# It is so\n"]}], "title is a question"),
    ],
)
def test_a_planted_fault_is_found(cells_, complaint):
    (found,) = faults({"cells": cells_})
    assert complaint in found


def test_a_lesson_without_faults_has_none():
    assert faults({"cells": [TITLE, code_cell("import math\nx = math.pi")]}) == []
