"""What goes wrong, as one friendly sentence that is safe to show as HTML."""

import html
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

import shield
from shield.page.private import without_folders


def sentence(error: shield.ShieldError) -> str:
    """The error's sentence, with files called by their names alone, and escaped: toasts are HTML."""
    return html.escape(without_folders(str(error)), quote=False)


@contextmanager
def as_toast() -> Iterator[None]:
    """Turn shield's errors into a toast."""
    try:
        yield
    except shield.ShieldError as error:
        raise gr.Error(sentence(error), title="That did not work", print_exception=False) from error
