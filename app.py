"""The page: python app.py opens shield in the browser."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

import shield

try:
    from shield.page.options import Options
    from shield.page.site import build, serve
except ModuleNotFoundError as error:
    if error.name not in ("filelock", "gradio"):
        raise
    typer.echo("shield: The page needs Gradio; install it with: pip install 'shield[page]'", err=True)
    raise SystemExit(2) from None

EXAMPLES = Path(__file__).with_name("examples")


def main(
    host: Annotated[
        str, typer.Option(envvar="GRADIO_SERVER_NAME", help="Address to listen on. 0.0.0.0: every network.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(envvar="GRADIO_SERVER_PORT", min=1, max=65535, help="Default: the first free one from 7860 on."),
    ] = None,
    share: Annotated[bool, typer.Option("--share", help="Make a public link, through Gradio's servers.")] = False,
    auth: Annotated[str | None, typer.Option(envvar="SHIELD_AUTH", help="NAME:PASSWORD for visitors.")] = None,
    root_path: Annotated[str | None, typer.Option(help="Where a reverse proxy serves the page: /shield.")] = None,
    max_upload: Annotated[int, typer.Option(min=1, help="Megabytes of one file, at most.")] = Options.megabytes,
    max_seconds: Annotated[float, typer.Option(min=1, help="Seconds that one job may take.")] = Options.seconds,
    max_photos: Annotated[int, typer.Option(min=1, help="Photos in one job, at most.")] = Options.photos,
    together: Annotated[int, typer.Option(min=1, help="Jobs that run at once; others wait.")] = Options.together,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Open shield in the browser. Photos stay on this machine."""
    name, _, password = (auth or "").partition(":")
    if auth and not (name and password):
        raise typer.BadParameter("give NAME:PASSWORD", param_hint="--auth")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that uploads are deleted then as well
    options = Options(EXAMPLES, together, seconds=max_seconds, photos=max_photos, megabytes=max_upload)
    try:
        serve(
            build(options),
            options,
            host=host,
            port=port,
            share=share,
            auth=(name, password) if auth else None,
            root_path=root_path,
            open_browser=open_browser,
            told=typer.echo,
        )
    except shield.InputError as error:
        typer.echo(f"shield: {error}", err=True)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    typer.run(main)
