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
    results,
    samples,
    speed,
    start,
    swaps,
)

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="For research: run an experiment and print its table."
)
for _module in (
    ablation,
    curve,
    detector,
    frames,
    persons,
    picture,
    portraits,
    recognisers,
    results,
    samples,
    speed,
    start,
    swaps,
):
    app.command(_module.__name__.rpartition(".")[2])(_module.main)
