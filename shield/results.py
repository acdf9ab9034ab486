"""What protect() gives: a protected photo, its verification, and both as files."""

from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from shield.files import beside, check_writable, output_path, write_atomically
from shield.photo import Photo
from shield.verify import Report, Verification


@dataclass(frozen=True)
class Protection:
    """A protected photo, as the bytes of a file, and what verification found on these bytes."""

    original: Photo
    photo: Photo
    data: bytes
    verification: Verification

    @property
    def image(self) -> Image.Image:
        """The protected photo as Pillow opens it from the file, upright RGB."""
        return Image.fromarray(self.photo.pixels)

    @property
    def report(self) -> Report:
        """What was measured."""
        return self.verification.report

    @property
    def sheet(self) -> Image.Image:
        """The contact sheet."""
        return self.verification.sheet

    def save(self, path: str | Path) -> list[Path]:
        """Write the photo to ``path`` and NAME.shield.json and NAME.shield.sheet.png beside it; returns the paths.

        Raises PhotoError where a file cannot be written or ``path`` is the original, RecipeError where its ending is
        another format's. Each write is atomic, and none begins before all of them may.
        """
        path = output_path(Path(path), self.photo.format, Path(path))
        files = {path: self.data}
        report, sheet = beside(path)
        files[sheet] = self.verification.sheet_png()
        files[report] = self.named(path.name).report.to_json().encode()
        for target in files:
            check_writable(target, self.original.path)
        for target, data in files.items():
            write_atomically(data, target, self.original.path)
        return [path, report, sheet]

    def named(self, name: str) -> "Protection":
        """The same with the file's name in its report."""
        report = replace(self.report, protected=replace(self.report.protected, name=name))
        return replace(self, verification=replace(self.verification, report=report))
