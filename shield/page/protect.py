"""The tab that protects photos: drop, look at the faces found, one button, a result."""

import html
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gradio as gr

import shield
from shield.page.complaint import as_toast, sentence
from shield.page.job import Job, TimeUpError
from shield.page.options import Options
from shield.page.photos import PHOTOS, accepted
from shield.page.pictures import picture
from shield.page.private import kept_on_success
from shield.page.result import QUIETLY, Shown, shown
from shield.page.settings import Settings
from shield.page.workbench import Task, Values, Workbench

ONE, MANY = 640, 240  # px: the longest side of a photo's preview, alone and among others
KINDS = ("photo", "report", "sheet")  # what shield.protect_file writes, in this order
LIMITS = """
<aside class="limits hint"><strong>What it does not do.</strong> Edits of hair, age, sex or expression still work on
many photos. A recogniser that shield never trained against may still know you; the result says so. One photo of you
without protection is enough for a face swap. People know you all the same.</aside>
"""


class ProtectTab:
    """The tab's widgets and what happens between them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        bench = Workbench("protect", "Protect", options)
        with gr.Row(equal_height=False, elem_classes="bench"):
            with gr.Column(scale=5, min_width=320):
                self.photos = gr.File(
                    label="Your photos", file_count="multiple", file_types=PHOTOS, height=170, elem_id="photos"
                )
                accepted(options, several=True)
                # Above the preview, so that the button stays in sight once a photo is picked.
                self.settings = Settings()
                bench.buttons()
                examples = _examples(options.examples)
                preview = gr.HTML(elem_id="preview", visible=False)
                self.settings.fold()
            with gr.Column(scale=6, min_width=320):
                bench.outcome()
                gr.HTML(LIMITS)
        examples.click(lambda row: row, examples, self.photos, **QUIETLY)
        self.photos.change(
            self.look, self.photos, [preview, examples, bench.go], show_progress="hidden", api_visibility="private"
        )
        bench.wire(self.task, {self.photos, *self.settings.components})

    def look(self, files: list[str] | None) -> tuple[gr.HTML, gr.Dataset, gr.Button]:
        """What is on the photos: every face outlined, before anything else. The examples give way.

        Photos that cannot be read say so in their place, and where there are no others nothing can be begun.
        """
        if not files:
            return gr.HTML(visible=False), gr.Dataset(visible=self._has_examples()), gr.Button(interactive=False)
        with as_toast():
            self._check_number(files)
        size = ONE if len(files) == 1 else MANY
        tiles, readable = zip(*(_preview(file, size) for file in files), strict=True)
        shown = gr.HTML(f'<div class="previews">{"".join(tiles)}</div>', visible=True)
        return shown, gr.Dataset(visible=False), gr.Button(interactive=any(readable))

    def task(self, values: Values) -> Task:
        """Protect the photos by the Recipe that the widgets stand for."""
        files = values[self.photos] or []
        self._check_number(files)
        batch = Batch(files, self.settings.recipe(values))
        return Task(batch.protect, len(files), batch.complaints)

    def _has_examples(self) -> bool:
        return any(self.options.examples.glob("*.jpg"))

    def _check_number(self, files: Sequence[str]) -> None:
        most = self.options.photos
        if not files:
            raise shield.InputError("There is no photo yet; drop one first.")
        if len(files) > most:
            raise shield.InputError(f"These are {len(files)} photos; give at most {most} at once.")


class Batch:
    """Photos to be protected by one Recipe; ``complaints`` says of which that was not possible."""

    def __init__(self, files: Sequence[str], recipe: shield.Recipe) -> None:
        self.files, self.recipe = [Path(file) for file in files], recipe
        self.complaints: list[str] = []

    def protect(self, job: Job[list[Shown]]) -> list[Shown]:
        """The work of a job. Leaves nothing where it is cancelled; raises the complaint about a photo that is alone."""
        results = list[Shown]()
        with kept_on_success() as folder:
            for number, file in enumerate(self.files):
                job.next_photo(number)
                try:
                    results.append(protected(file, self.recipe, folder / str(number + 1), job))
                except shield.ShieldError as error:
                    if isinstance(error, TimeUpError) or len(self.files) == 1:
                        raise
                    self.complaints.append(sentence(error))
            if not results:
                raise shield.InputError("None of these photos can be protected; try others.")
            return _zipped(results, folder / "shield.zip") if len(self.files) > 1 else results


def protected(file: Path, recipe: shield.Recipe, folder: Path, job: Job[list[Shown]]) -> Shown:
    """One photo protected; everything about it is in ``folder``, which is made for it."""
    folder.mkdir()
    copy = folder / file.name
    shutil.copyfile(file, copy)
    protection, written = shield.protect_file(copy, None, recipe, job.searching, job.verifying)
    copy.unlink()
    return shown(file.name, protection.verification, folder, dict(zip(KINDS, written, strict=True)))


def _zipped(results: Sequence[Shown], archive: Path) -> list[Shown]:
    """The same results, with one more file: all files of all photos."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as everything:
        for number, result in enumerate(results, 1):
            for file in result.files.values():
                everything.write(file, f"{number}/{file.name}")
    return [replace(result, files={**result.files, "zip": archive}) for result in results]


def _preview(file: str, size: int) -> tuple[str, bool]:
    """One photo with its faces outlined, or why it cannot be protected, and whether it can be read at all.

    One without a face can be: whoever takes it as one region may go on.
    """
    name, photo = Path(file).name, None
    try:
        photo = shield.open_photo(file)
        faces = shield.find_faces(photo)
    except shield.ShieldError as error:
        return f'<figure class="poor"><figcaption>{sentence(error)}</figcaption></figure>', photo is not None
    found = "1 face found" if len(faces) == 1 else f"{len(faces)} faces found"
    image = picture(shield.outline(photo, faces), f"{name}: {found}, outlined", size)
    return f"<figure>{image}<figcaption>{html.escape(name)}: {found}</figcaption></figure>", True


def _examples(folder: Path) -> gr.Dataset:
    """Photos to try, as thumbnails."""
    samples = [[str(path)] for path in sorted(folder.glob("*.jpg"))]
    return gr.Dataset(
        components=[gr.Image(visible=False)],
        samples=samples,
        label="Or try one of these: generated, nobody real (CC0)",
        elem_id="examples",
        visible=bool(samples),
    )
