"""Generators: networks that make faces of nothing, for the detector to tell them from photographed ones."""

from shield.generators import biggan, progan, stylegan2
from shield.generators.generator import Generator, generators, load_generator
from shield.generators.imported import import_generator
from shield.generators.layout import layouts

__all__ = [
    "Generator",
    "biggan",
    "generators",
    "import_generator",
    "layouts",
    "load_generator",
    "progan",
    "stylegan2",
]
