"""What a verification looks like: a verdict, both photos under one slider, what manipulators make of them, files."""

import html
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image

import shield
from shield.page.pictures import picture
from shield.page.private import forget
from shield.page.status import IDLE, verdict_box

PHOTO, CHANGE = "Protected photo", "The change, amplified"
TILE = 160  # px
QUALITY = 92
SYMBOLS = {"protected": "✓", "partly protected": "!", "not protected": "✕", "nothing to protect from": "!"}
DOWNLOADS = {
    "photo": "Download the protected photo",
    "report": "Download the report (JSON)",
    "sheet": "Download the contact sheet",
    "zip": "Download everything (ZIP)",
}
QUIETLY: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
CLASSES = {"protected": "good", "partly protected": "fair", "not protected": "poor", "nothing to protect from": "fair"}


@dataclass(frozen=True)
class Shown:
    """One photo's result as the page shows it.

    ``before``, ``after``, ``change``: pictures. ``files``: to download, by kind (a key of DOWNLOADS).
    """

    name: str
    verdict: str
    details: str
    gallery: str
    before: Path
    after: Path
    change: Path
    files: Mapping[str, Path]


def shown(name: str, verification: shield.Verification, folder: Path, files: Mapping[str, Path]) -> Shown:
    """The result of a photo; what a browser needs beside its ``files`` is written to ``folder``."""
    report = verification.report
    pictures = {"before": verification.original, "after": verification.protected}
    paths = {title: folder / f"{title}.png" for title in pictures}
    for title, pixels in pictures.items():
        Image.fromarray(pixels).save(paths[title], compress_level=1)
    verification.difference.save(folder / "change.jpg", quality=QUALITY)
    return Shown(
        name,
        _verdict(report),
        _details(report),
        _gallery(verification),
        paths["before"],
        paths["after"],
        folder / "change.jpg",
        files,
    )


def _verdict(report: shield.Report) -> str:
    face = report.worst_face.visibility
    faces = "1 face" if len(report.faces) == 1 else f"{len(report.faces)} faces"
    kept = "" if report.bound_kept is None or report.bound_kept else " <strong>The bound is not kept.</strong>"
    hint = f"{faces}. Visible change (LPIPS) {face.face_lpips:.3f}, at most {face.max_levels} of 255 levels.{kept}"
    style, symbol = CLASSES[report.verdict], SYMBOLS[report.verdict]
    hint = " ".join([hint, *map(html.escape, report.original.notes), html.escape(report.credentials_sentence())])
    return verdict_box(style, symbol, report.verdict.capitalize(), report.headline(), hint) + _doors(report)


def _details(report: shield.Report) -> str:
    sentences = report.details() + ([report.reference_sentence()] if report.reference else [])
    sentences.append(report.detector_sentence())
    if report.adversaries:
        sentences += [report.adversary_sentence(), report.undo_sentence()]
    tables = [("Share that breaks (Ruiz et al.)", report)]
    if report.adversaries:
        tables.append(("The same after somebody tries to undo it", report.other_side))
    words = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)
    return words + "".join(_table(title, it) for title, it in tables)


def _doors(report: shield.Report) -> str:
    """What still works: a row per way into the photo."""
    (title, *columns), rows = report.door_table()
    return _cells(title, columns, rows, "doors")


def _table(title: str, report: shield.Report) -> str:
    """Share broken: a row per channel and kind of frames, a column per network and control."""
    columns = report.table()
    shares = [[f"{own[row]:.0%}" if row in own else "" for own in columns.values()] for row in report.row_titles()]
    return _cells(title, [*columns], [(row, *cells) for row, cells in zip(report.row_titles(), shares, strict=True)])


def _cells(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], style: str = "") -> str:
    """A table; the first cell of every row is its heading."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in (title, *columns))
    body = "".join(
        f'<tr><th scope="row">{html.escape(first)}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in rows
    )
    return (
        f'<div class="scroll {style}" tabindex="0" role="region" aria-label="{html.escape(title)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _gallery(verification: shield.Verification) -> str:
    """Every manipulation before and after protection, by face and network; the editors' are folded, so that a phone's
    page stays short.
    """
    known = {effect.surrogate: effect.seen for effect in verification.report.effects}
    tiles = sorted(verification.manipulations, key=lambda tile: (tile.face, not known[tile.surrogate]))
    several = len(verification.report.faces) > 1
    parts = []
    for face, swaps in itertools.groupby(verification.swaps, lambda swap: swap.face):
        title = f"Face {face + 1}, face swap" if several else "Face swap"
        parts.append(_folded(title, "this face on other people", list(map(_swap_card, swaps)), True))
    for (face, surrogate), group in itertools.groupby(tiles, lambda tile: (tile.face, tile.surrogate)):
        made = list(group)
        title = f"{f'Face {face + 1}, edited' if several else 'Edited'} by {surrogate}"
        seen = "the search worked against it" if known[surrogate] else "the search did not see it"
        working = [tile for tile in made if tile.worked]
        left = sum(not tile.stopped for tile in working)
        count = (
            f"{left} of {len(working)} still work in these frames" if working else "none worked on the original either"
        )
        parts.append(_folded(title, f"{count}; {seen}", list(map(_card, made)), False))
    return f'<div class="manipulations">{"".join(parts)}</div>'


def _folded(title: str, note: str, cards: Sequence[str], unfolded: bool) -> str:
    head = f'<summary><h4>{html.escape(title)}</h4> <span class="hint">{html.escape(note)}</span></summary>'
    return f'<details{" open" if unfolded else ""}>{head}<div class="cards">{"".join(cards)}</div></details>'


def _card(tile: shield.Manipulation) -> str:
    figures = [
        _figure(image, f"Simulated manipulation, {tile.edit}: {when} protection", when)
        for image, when in zip(tile.pictures, ("before", "after"), strict=True)
    ]
    return _framed(figures, tile.edit, tile.words, _style(tile.worked, tile.stopped))


def _swap_card(swap: shield.ShownSwap) -> str:
    donor, *made = swap.pictures
    figures = [_figure(donor, f"The donor {swap.donor}, who does not exist", "donor")]
    for image, when in zip(made, ("before", "after"), strict=True):
        figures.append(_figure(image, f"Simulated manipulation, face swap with {swap.donor}: {when} protection", when))
    return _framed(figures, swap.donor, swap.words[1], _style(swap.works[0], not swap.works[1]))


def _style(worked: bool, stopped: bool) -> str:
    return "hint" if not worked else "good" if stopped else "poor"


def _figure(image: Image.Image, text: str, caption: str) -> str:
    return f"<figure>{picture(image, text, TILE)}<figcaption>{caption}</figcaption></figure>"


def _framed(figures: Sequence[str], title: str, words: str, style: str) -> str:
    """Figures side by side over a line that says what they are and what came of it."""
    line = f'{html.escape(title)} <span class="{style}">{words}</span>'
    return f'<div class="card"><div class="pair">{"".join(figures)}</div><p>{line}</p></div>'


Updates = dict[Component, Any]


def forget_all(results: Sequence[Shown]) -> None:
    """Delete the files of results that are no longer shown."""
    for result in results:
        forget(result.before.parent)
        if archive := result.files.get("zip"):
            forget(archive.parent)


class View:
    """The place of a status and the widgets of a result. Update them with what ``show`` and ``hide`` return."""

    def __init__(self, name: str) -> None:
        self.state = gr.State([], delete_callback=forget_all)
        self.status = gr.HTML(IDLE, elem_id=f"{name}-status")
        with gr.Column(visible=False, elem_id=f"{name}-result", elem_classes="result") as self.box:
            self.choice = gr.Dropdown(label="Photo", visible=False, elem_id=f"{name}-choice")
            self.slider = gr.ImageSlider(
                label="Before and after", type="filepath", max_height=640, buttons=["fullscreen"], interactive=False
            )
            self.compare = gr.Radio([PHOTO, CHANGE], value=PHOTO, label="On the right", elem_classes="segments")
            with gr.Row(elem_classes="downloads"):
                self.downloads = {
                    kind: gr.DownloadButton(
                        label, elem_id=f"{name}-{kind}", variant="primary" if kind == "photo" else "secondary"
                    )
                    for kind, label in DOWNLOADS.items()
                }
            gr.Markdown("### What a manipulator makes of your photo", elem_classes="heading")
            self.gallery = gr.HTML()
            with gr.Accordion("Every figure", open=False):
                self.details = gr.HTML()
        for widget in (self.choice, self.compare):
            widget.input(self._pick, [self.state, self.choice, self.compare], self._parts, **QUIETLY)

    @property
    def components(self) -> list[Component]:
        """What ``show`` and ``hide`` update."""
        return [*self._parts, self.state, self.box, self.choice, self.compare]

    @property
    def _parts(self) -> list[Component]:
        return [self.status, self.slider, self.gallery, self.details, *self.downloads.values()]

    def show(self, results: Sequence[Shown]) -> Updates:
        """Show the first of these; the others can be chosen."""
        choices = [(result.name, number) for number, result in enumerate(results)]
        return self._filled(results[0], PHOTO) | {
            self.state: list(results),
            self.box: gr.Column(visible=True),
            self.choice: gr.Dropdown(choices=choices, value=0, visible=len(results) > 1),
            self.compare: PHOTO,
        }

    def hide(self) -> Updates:
        """Show nothing, and forget what was shown."""
        return {self.state: [], self.box: gr.Column(visible=False)}

    def _pick(self, results: list[Shown], number: int | None, compare: str) -> Updates:
        return self._filled(results[number or 0], compare) if results else {}

    def _filled(self, result: Shown, compare: str) -> Updates:
        buttons: Updates = {
            button: gr.DownloadButton(value=result.files.get(kind), visible=kind in result.files)
            for kind, button in self.downloads.items()
        }
        return {
            self.status: result.verdict,
            self.slider: (result.before, result.after if compare == PHOTO else result.change),
            self.gallery: result.gallery,
            self.details: result.details,
            **buttons,
        }
