"""Benchmarks: experiments over many photos, printed as tables: ``shield bench NAME``."""

from shield.bench.command import app

__all__ = ["app"]
