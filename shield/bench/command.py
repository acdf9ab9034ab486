"""``shield bench``: the runner of experiments, and what is no experiment, as commands."""

from importlib import import_module

import typer

# Modules beside this one, each with a ``main``.
COMMANDS = (
    "crops",
    "detector",
    "picture",
    "results",
    "run",
    "samples",
    "speed",
)

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="For research: run an experiment and print its table."
)
for _name in COMMANDS:
    app.command(_name)(import_module(f"shield.bench.{_name}").main)
