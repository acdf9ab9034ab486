"""``shield bench``: every experiment as a command."""

from importlib import import_module

import typer

# Modules beside this one, each with a ``main``.
EXPERIMENTS = (
    "ablation",
    "detector",
    "frames",
    "persons",
    "picture",
    "portraits",
    "recognisers",
    "results",
    "run",
    "samples",
    "speed",
    "start",
    "swaps",
)

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="For research: run an experiment and print its table."
)
for _name in EXPERIMENTS:
    app.command(_name)(import_module(f"shield.bench.{_name}").main)
