"""Checking what papers claim about memory-efficient training, by proof and by measurement."""

__version__ = "0.1.0"
