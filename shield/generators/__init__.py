"""Generators: networks that make faces of nothing, for the detector to tell them from photographed ones."""
