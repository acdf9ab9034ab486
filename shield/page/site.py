"""The whole page, and its server."""

from collections.abc import Callable

import gradio as gr

import shield
from shield.page.about import about
from shield.page.detect import DetectTab
from shield.page.endpoints import Endpoints
from shield.page.options import Options
from shield.page.private import KEEP, allow_proxy
from shield.page.protect import ProtectTab
from shield.page.theme import SCRIPT, STYLES, theme
from shield.page.verify import VerifyTab

HEADER = """
<header class="masthead"><h1>shield</h1>
<p>A small change to your photo, so that face swaps and face search lose you. Then a check of the saved file, which says
what holds and what does not.</p></header>
"""
CLEAN = 600  # s between two looks for old files


def build(options: Options) -> gr.Blocks:
    """The page, with its queue."""
    page: gr.Blocks
    with gr.Blocks(title="shield", delete_cache=(CLEAN, KEEP), analytics_enabled=False) as page:
        gr.HTML(HEADER)
        with gr.Tabs():
            with gr.Tab("Protect"):
                ProtectTab(options)
            with gr.Tab("Verify"):
                VerifyTab(options)
            with gr.Tab("Detect"):
                DetectTab(options)
            with gr.Tab("About"):
                about()
        Endpoints(options)
    page.queue(max_size=options.waiting, default_concurrency_limit=4)
    return page


def serve(
    page: gr.Blocks,
    options: Options,
    *,
    host: str,
    port: int | None = None,
    share: bool = False,
    auth: tuple[str, str] | None = None,
    root_path: str | None = None,
    open_browser: bool = False,
    told: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until it is interrupted; ``told`` hears where it is.

    Raises InputError where it cannot listen at ``host`` and ``port``.
    """
    if share:
        allow_proxy(host)
    try:
        _, here, everywhere = page.launch(
            server_name=host,
            server_port=port,
            share=share,
            auth=auth,
            root_path=root_path,
            inbrowser=open_browser,
            max_file_size=f"{options.megabytes}mb",
            allowed_paths=[str(options.examples)],
            footer_links=[],
            quiet=True,  # its words are for whoever writes a page
            run_history=False,  # it would keep photos in the browser
            ssr_mode=False,
            pwa=False,
            theme=theme(),
            css_paths=STYLES,
            js=SCRIPT.read_text(encoding="utf-8"),
            prevent_thread_lock=True,
        )
    except OSError as error:
        place = f"port {port}" if port else "any port from 7860 on"
        raise shield.InputError(
            f"The page cannot listen on {place} of {host}, because it is taken or not allowed; "
            "choose another with --port or --host."
        ) from error
    if told is not None:
        told(f"shield is open at {everywhere or here} (Ctrl+C ends it).")
    page.block_thread()
