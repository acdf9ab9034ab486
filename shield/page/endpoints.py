"""The endpoints for programs: /protect, /verify and /detect."""

import json
import shutil
from pathlib import Path
from typing import Any

import gradio as gr

import shield
from shield.page.complaint import as_toast
from shield.page.job import Job
from shield.page.options import Options
from shield.page.private import kept_on_success
from shield.page.workbench import QUEUE


class Endpoints:
    """Hidden widgets give the endpoints their types."""

    def __init__(self, options: Options) -> None:
        self.options = options
        shared: dict[str, Any] = {"concurrency_limit": options.together, "concurrency_id": QUEUE}
        with gr.Column(visible=False):
            photo, other, settings = gr.File(label="photo"), gr.File(label="protected"), gr.JSON(label="settings")
            result, report, sheet = gr.File(label="result"), gr.JSON(label="report"), gr.File(label="contact sheet")
            calls = [gr.Button() for _ in range(3)]
        calls[0].click(self.protect, [photo, settings], [result, report, sheet], api_name="protect", **shared)
        calls[1].click(self.verify, [photo, other], [report, sheet], api_name="verify", **shared)
        calls[2].click(self.detect, photo, report, api_name="detect", **shared)

    def protect(self, photo: str, settings: dict[str, Any] | None = None) -> tuple[str, Any, str]:
        """Protect a photo. ``settings``: of the Recipe, by name, and "preset"; those left out are the defaults."""
        chosen = dict(settings or {})
        preset = chosen.pop("preset", None)
        with as_toast(), kept_on_success() as folder:
            recipe = shield.Recipe.of(chosen)
            recipe = recipe if preset is None else recipe.with_preset(preset)
            copy, job = Path(shutil.copy(photo, folder)), self._job()
            protection, written = shield.protect_file(copy, None, recipe, job.searching, job.verifying)
            copy.unlink()
        return str(written[0]), json.loads(protection.report.to_json()), str(written[2])

    def verify(self, photo: str, protected: str) -> tuple[Any, str]:
        """Measure on the original and the protected file what the protection does."""
        with as_toast(), kept_on_success() as folder:
            sheet = folder / "sheet.png"
            verification = shield.verify_photo(photo, protected, progress=self._job().checking)
            verification.save_sheet(sheet)
        return json.loads(verification.report.to_json()), str(sheet)

    def detect(self, photo: str) -> Any:
        """Say whether a photo is generated or manipulated, and why."""
        with as_toast():
            return json.loads(shield.detect(photo).to_json())

    def _job(self) -> Job[None]:
        """For its clock alone: the call itself is the work."""
        return Job(lambda job: None, 1, self.options.seconds)
