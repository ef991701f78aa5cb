"""Checks of sizes, shared by the model configurations; every message has the numbers."""

from typing import Any


def check_positive(config: Any, *names: str) -> None:
    """Raises ValueError for the first named field that is not above 0."""
    for name in names:
        if not getattr(config, name) > 0:
            raise ValueError(f"{type(config).__name__} needs {name} > 0, got {name}={getattr(config, name)}")


def check_divides(part: str, n: int, whole: str, m: int) -> None:
    """Raises ValueError unless n divides m."""
    if m % n:
        raise ValueError(f"{part} must divide {whole}, but {m} / {n} leaves {m % n}: choose {whole} as a multiple of {n}")


def check_context(length: int, context: int) -> None:
    """Raises ValueError for a sequence longer than the model's context."""
    if length > context:
        raise ValueError(
            f"a sequence of {length} tokens exceeds the context of {context}: cut it, or build the model with context={length}"
        )
