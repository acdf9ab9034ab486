"""The program ``shield``: the command line and the benchmarks. Also ``python -m shield``."""

from shield.bench import app as bench
from shield.cli import app
from shield.console import spell_out

app.add_typer(bench, name="bench")


def main() -> None:
    """Entry point of the console script."""
    spell_out()
    app()


if __name__ == "__main__":
    main()
