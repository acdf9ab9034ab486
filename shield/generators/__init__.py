"""Generators: networks that make faces of nothing, for the detector to tell them from photographed ones."""

from shield.generators import biggan
from shield.generators.generator import Generator, generators, load_generator

__all__ = ["Generator", "biggan", "generators", "load_generator"]
