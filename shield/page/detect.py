"""The tab that detects: is this photo generated or manipulated? A verdict, its reasons, and where they are seen."""

import html

import gradio as gr

import shield
from shield.page.complaint import as_toast
from shield.page.options import Options
from shield.page.photos import PHOTOS, accepted
from shield.page.pictures import picture
from shield.page.result import QUIETLY
from shield.page.status import verdict_box, waiting
from shield.page.workbench import QUEUE

SIDE = 900  # px of the overlay's longest side
CLASSES = {"real": "calm", "unsure": "fair", "fake": "poor"}
TITLES = {"real": "No sign of a fake", "unsure": "Unsure", "fake": "Probably fake"}
SYMBOLS = {"real": "i", "unsure": "?", "fake": "!"}
IDLE = (
    '<div class="status idle"><p>The verdict appears here. Photos never leave this machine.</p>'
    "<p>It looks for traces of older generators and for visible flaws. What diffusion models and StyleGAN make is not "
    "found.</p></div>"
)


class DetectTab:
    """The tab's widgets and what happens between them."""

    def __init__(self, options: Options) -> None:
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                photo = gr.File(label="A photo", file_types=PHOTOS, height=170, elem_id="suspect")
                accepted(options)
                go = gr.Button("Detect", variant="primary", size="lg", elem_id="detect-go", interactive=False)
            with gr.Column(scale=6, min_width=320):
                result = gr.HTML(IDLE, elem_id="detect-result")
        photo.change(lambda file: gr.Button(interactive=bool(file)), photo, go, **QUIETLY)
        go.click(waiting, None, result, **QUIETLY).then(
            judged,
            photo,
            result,
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=options.together,
            concurrency_id=QUEUE,
        ).failure(lambda: IDLE, None, result, **QUIETLY)


def judged(file: str) -> str:
    """The verdict on a photo, as HTML."""
    with as_toast():
        return _verdict(shield.detect(file))


def _verdict(verdict: shield.Verdict) -> str:
    reasons = "".join(f"<li>{html.escape(reason.sentence)}</li>" for reason in verdict.reasons)
    listed = f"<h4>Reasons, weightiest first</h4><ol>{reasons}</ol>" if reasons else ""
    overlay = picture(verdict.overlay(), "The photo with the regions that speak for the verdict", SIDE)
    style, symbol = CLASSES[verdict.verdict], SYMBOLS[verdict.verdict]
    return (
        verdict_box(style, symbol, TITLES[verdict.verdict], verdict.headline(), html.escape(verdict.limits()))
        + f"{listed}<figure>{overlay}</figure>"
    )
