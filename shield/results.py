"""What protect() gives: a protected photo, its verification, and both as files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from shield.files import check_ending, check_writable, fingerprint, result_files, write_together
from shield.photo import FORMATS, Photo, as_path
from shield.verify import Report, Verification

REPORT_AND_SHEET = 8_000_000  # bytes; for four faces they take about 3 million


@dataclass(frozen=True)
class Protection:
    """A protected photo, as the bytes of a file, and what verification found on these bytes."""

    original: Photo
    photo: Photo
    data: bytes
    verification: Verification

    def __repr__(self) -> str:
        return f"Protection({self.photo.format}, {len(self.data):,} bytes, {self.report!r})"

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

    def save(self, path: str | Path, force: bool = False) -> list[Path]:
        """Write the photo to ``path`` and NAME.shield.json and NAME.shield.sheet.png beside it; returns the paths.

        Where that report is another file's, NAME is the whole name of the file. All are written or none. ``force``:
        overwrite files that are there. Raises PhotoError where one is there or cannot be written, or ``path`` is the
        original, RecipeError where its ending is another format's.
        """
        path = as_path(path)
        check_ending(path, self.photo.format)
        check_writable(path, self.original.path, force)
        files = result_files(path)
        report = self.named(path.name).report.to_json().encode()
        contents = {files.report: report, files.sheet: self.verification.sheet_png(), files.photo: self.data}
        write_together(contents, self.original.path, force)
        return files.all

    def named(self, name: str) -> "Protection":
        """The same with the file's name in its report."""
        report = replace(self.report, protected=replace(self.report.protected, name=name))
        return replace(self, verification=replace(self.verification, report=report))


@dataclass(frozen=True)
class Saved:
    """A result in a few words, as a run over many photos keeps it.

    ``original``: the photo's sha256. ``files``: photo, report and sheet with the sha256 of each. ``verdict``,
    ``sentence``: the report's. ``reached``: whether the verdict is "protected", within the
    bounds. ``face_lpips``: the worst face's. ``seconds``: that it took. ``earlier``: whether an earlier run did it.
    """

    original: str
    files: Mapping[Path, str]
    verdict: str
    sentence: str
    reached: bool
    face_lpips: float
    seconds: float
    earlier: bool = False

    def __repr__(self) -> str:
        names = [str(path) for path in self.files]
        return f"Saved({names}, {self.verdict!r}, face_lpips={self.face_lpips:.3f}, earlier={self.earlier})"

    @classmethod
    def now(cls, protection: Protection, written: Sequence[Path], seconds: float) -> "Saved":
        """What was written just now; of the files what they hold."""
        report = protection.report
        return cls(
            protection.original.sha256,
            {path: fingerprint(path) for path in written},
            report.verdict,
            report.lead(),
            report.reached and report.bound_kept is not False,
            report.face_lpips,
            seconds,
        )

    @classmethod
    def of(cls, values: Mapping[str, Any], folder: Path) -> "Saved":
        """What ``to_dict`` gave, of files in this folder, by an earlier run. Raises TypeError where it is not that."""
        files = {folder / name: sha256 for name, sha256 in values["files"].items()}
        return cls(**{**values, "files": files}, earlier=True)

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON: the files by name."""
        values = {name: value for name, value in vars(self).items() if name != "earlier"}
        return values | {"files": {path.name: sha256 for path, sha256 in self.files.items()}}


def space_for(photo: Photo, format: str) -> int:
    """Bytes that the files of a result may take: more than they do, so that no disk fills after a search."""
    raw = photo.pixels.nbytes + (0 if photo.alpha is None else photo.alpha.nbytes)
    return REPORT_AND_SHEET + (raw // 2 if FORMATS[format].lossy else raw)
