"""``shield bench``: every experiment as a command."""

import typer

from shield.bench import (
    ablation,
    curve,
    detector,
    frames,
    persons,
    picture,
    portraits,
    recognisers,
    samples,
    speed,
    start,
    swaps,
)

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="For research: run an experiment and print its table."
)
_modules = ablation, curve, detector, frames, persons, picture, portraits, recognisers, samples, speed, start, swaps
for _module in _modules:
    app.command(_module.__name__.rpartition(".")[2])(_module.main)
