"""Versions and licences of the packages as they are installed: what their metadata say, and what the licence file is.

The two need not agree: adam-mini says MIT in its classifier and ships the text of CC BY 4.0.
"""

from importlib.metadata import Distribution, distribution

DISTRIBUTIONS = {
    "torch": "torch",
    "lomo_optim": "lomo-optim",
    "adam_mini": "adam-mini",
    "galore_torch": "galore-torch",
    "came_pytorch": "came-pytorch",
    "transformers": "transformers",
    "pytorch_optimizer": "pytorch_optimizer",
}
MARKS = {  # a few words of each licence that the others lack
    "CC BY 4.0": ("Attribution 4.0 International",),
    "Apache-2.0": ("Apache License", "Version 2.0, January 2004"),
    "MIT": ("Permission is hereby granted, free of charge",),
    "BSD-3-Clause": ("Redistributions of source code must retain", "endorse or promote"),
}


def version(name: str) -> str:
    """The public part: a local build label such as +cpu says nothing about the source."""
    return distribution(name).version.split("+")[0]


def by_metadata(found: Distribution) -> str:
    """What the metadata say: an expression, a text, or the classifiers."""
    classifiers = [line.split(" :: ")[-1] for line in found.metadata.get_all("Classifier") or () if line.startswith("License")]
    said = [found.metadata["License-Expression"], found.metadata["License"], *classifiers]
    return "; ".join(dict.fromkeys(text.splitlines()[0] for text in said if text)) or "nothing"


def by_file(found: Distribution) -> str:
    """Which licence the text of the package's own licence file is; "unrecognised" where no mark fits."""
    files = [f for f in found.files or () if f.name.startswith("LICENSE") and "dist-info" in f.parts[0] and "third_party" not in f.parts]
    if not files:
        return "no file"
    text = found.locate_file(files[0]).read_text()
    return next((name for name, marks in MARKS.items() if all(mark in text for mark in marks)), "unrecognised")


def licences() -> dict[str, dict[str, str]]:
    """One entry a package, by its import name."""
    found = {module: distribution(name) for module, name in DISTRIBUTIONS.items()}
    return {
        module: {"version": version(DISTRIBUTIONS[module]), "by metadata": by_metadata(one), "by file": by_file(one)}
        for module, one in found.items()
    }
