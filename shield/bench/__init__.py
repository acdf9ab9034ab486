"""Benchmarks: experiments over many photos, printed as tables. Run them with ``python -m shield.bench.NAME --help``."""
