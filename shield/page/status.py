"""How far a job is, as HTML."""

import html

from shield.page.job import Moment

IDLE = '<div class="status idle"><p>Your result appears here. Photos never leave this machine.</p></div>'
CANCELLED = '<div class="status idle" role="status"><p>Cancelled. Nothing was kept.</p></div>'


def waiting() -> str:
    """Of a job that has not begun: others may be before it."""
    return progress_bar(Moment("Waiting for a free place"))


def progress_bar(moment: Moment) -> str:
    """Words, a bar, and the time that is left."""
    done = f"{moment.share:.3f}"
    return (
        f'<div class="status busy"><p>{html.escape(moment.words)}</p>'
        f'<progress max="1" value="{done}" aria-label="Progress">{moment.share:.0%}</progress>'
        f'<p class="hint">{_left(moment.left)}</p></div>'
    )


def verdict_box(style: str, symbol: str, title: str, sentence: str, hint: str) -> str:
    """What was found. ``style``: "good", "fair" or "poor". ``hint`` is HTML already, the other words become it."""
    return (
        f'<div class="verdict {style}" role="status"><span class="symbol" aria-hidden="true">{symbol}</span>'
        f"<div><h3>{html.escape(title)}</h3><p>{html.escape(sentence)}</p>"
        f'<p class="hint">{hint}</p></div></div>'
    )


def _left(seconds: float | None) -> str:
    if seconds is None:
        return "Estimating the time that is left"
    return f"About {seconds:.0f} s left" if seconds < 90 else f"About {seconds / 60:.0f} min left"
