"""What files the page takes, and how that is said where they are dropped."""

import gradio as gr

from shield.page.options import Options

PHOTOS = ["image", ".heic", ".heif", ".hif", ".avif"]  # not every system knows that the latter are images


def accepted(options: Options, several: bool = False) -> None:
    """Lay out a line on what may be dropped."""
    most = f" At most {options.photos} at once." if several else ""
    gr.HTML(
        '<p class="hint">JPEG, PNG, WebP, HEIC, AVIF, BMP, TIFF or GIF, up to '
        f"{options.megabytes} MB each, with a face of 40 pixels or more.{most}</p>"
    )
