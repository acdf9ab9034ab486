"""The tab that verifies: two files, the same result as after protecting."""

from pathlib import Path

import gradio as gr

import shield
from shield.page.job import Job
from shield.page.options import Options
from shield.page.photos import PHOTOS, accepted
from shield.page.private import kept_on_success
from shield.page.result import Shown, shown
from shield.page.workbench import Task, Values, Workbench


class VerifyTab:
    """The tab's widgets and what happens between them."""

    def __init__(self, options: Options) -> None:
        bench = Workbench("verify", "Verify", options)
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                with gr.Row():
                    self.original = _photo("Original photo", "original")
                    self.protected = _photo("Protected photo", "protected")
                accepted(options)
                self.adversaries = gr.Checkbox(
                    label="Also try what undoes a protection",
                    info="Cleaning the photo before manipulating it, and networks hardened against it. Takes longer.",
                )
                bench.buttons()
            with gr.Column(scale=6, min_width=320):
                bench.outcome()
        files = [self.original, self.protected]
        for file in files:
            file.change(
                lambda *both: gr.Button(interactive=all(both)),
                files,
                bench.go,
                show_progress="hidden",
                api_visibility="private",
            )
        bench.wire(self.task, {*files, self.adversaries})

    def task(self, values: Values) -> Task:
        """Compare the two files."""
        original, protected = values[self.original], values[self.protected]
        if not (original and protected):
            raise shield.InputError("Two photos are needed; drop the original and the protected one.")
        return Task(lambda job: [verified(Path(original), Path(protected), bool(values[self.adversaries]), job)])


def verified(original: Path, protected: Path, adversaries: bool, job: Job[list[Shown]]) -> Shown:
    """The two files compared. Leaves nothing where that is cancelled."""
    with kept_on_success() as folder:
        verification = shield.verify_photo(original, protected, adversaries=adversaries, progress=job.checking)
        report, sheet = (folder / f"{protected.stem}.verified{ending}" for ending in (".json", ".sheet.png"))
        report.write_text(verification.report.to_json(), encoding="utf-8")
        verification.save_sheet(sheet)
        return shown(protected.name, verification, folder, {"report": report, "sheet": sheet})


def _photo(label: str, name: str) -> gr.File:
    return gr.File(label=label, file_types=PHOTOS, height=170, elem_id=name, min_width=140)
