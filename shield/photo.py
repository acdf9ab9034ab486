"""Photos as files, as arrays and as tensors: the only place of shield that knows of bytes and rounds to 8 bits."""

import hashlib
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

from shield.credentials import Claim, claim_of
from shield.errors import PhotoError, RecipeError
from shield.formats import Container, decoded, ended, opened

JPEG_QUALITY = 95
MAX_PIXELS = 100_000_000
STRIP = 64  # rows


@dataclass(frozen=True)
class FileFormat:
    """What a file format can hold. ``pillow`` is Pillow's name for it; the first extension is the usual one."""

    pillow: str
    extensions: tuple[str, ...]
    alpha: bool = True
    lossy: bool = False
    writable: bool = True
    longest_side: int = MAX_PIXELS
    options: Mapping[str, Any] = field(default_factory=dict)


FORMATS: Mapping[str, FileFormat] = {
    "jpeg": FileFormat(
        "JPEG",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        alpha=False,
        lossy=True,
        longest_side=65_500,  # libjpeg's own limit; the format's is 65 535
        options={"subsampling": "4:4:4"},
    ),
    "png": FileFormat("PNG", (".png",)),
    "webp": FileFormat("WEBP", (".webp",), longest_side=16_383, options={"lossless": True, "exact": True}),
    "heif": FileFormat("HEIF", (".heic", ".heif", ".hif"), lossy=True, options={"chroma": 444}),
    "avif": FileFormat("AVIF", (".avif",), lossy=True, longest_side=32_768, options={"subsampling": "4:4:4"}),
    "bmp": FileFormat("BMP", (".bmp",), alpha=False),
    "tiff": FileFormat("TIFF", (".tif", ".tiff"), options={"compression": "tiff_adobe_deflate"}),
    "gif": FileFormat("GIF", (".gif",), writable=False),  # a palette of 256 colours would undo the change
}

BY_NAME = {extension[1:]: name for name, kind in FORMATS.items() for extension in kind.extensions}
BY_NAME |= {name: name for name in FORMATS}
# Phones write MPO: a JPEG file with further pictures behind the first.
_BY_PILLOW = {kind.pillow: name for name, kind in FORMATS.items()} | {"MPO": "jpeg"}
WRITABLE = tuple(name for name, kind in FORMATS.items() if kind.writable)
_OPENED = [kind.pillow for kind in FORMATS.values()]
_READABLE = ", ".join(_OPENED)
_NAMELESS = "The picture"

# warnings.catch_warnings changes the whole process: two threads in it at once could leave warnings off for good.
_QUIET = threading.Lock()

pillow_heif.register_heif_opener(thumbnails=False)


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo, upright.

    ``pixels``: RGB (H, W, 3), in the colours of the profile ``icc`` (None: sRGB). ``alpha``: (H, W), or None.
    ``exif``: of camera and picture alone; None where there is none. ``format``: a key of FORMATS. ``sha256``: of the
    file's bytes, or of the pixels where there was no file. ``notes``: sentences on what was converted or left out.
    ``claim``: what the file's Content Credentials say; None where it has none.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    icc: bytes | None
    exif: bytes | None
    format: str
    sha256: str
    path: Path | None = None
    notes: tuple[str, ...] = ()
    claim: Claim | None = None

    @cached_property
    def grey(self) -> bool:
        """Whether red, green and blue are the same everywhere."""
        return _is_grey(self.pixels)

    def __repr__(self) -> str:
        return f"Photo({str(self.path or '')!r}, {self.format}, {self.width} x {self.height})"

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return int(self.pixels.shape[0])

    def with_pixels(self, pixels: NDArray[np.uint8]) -> "Photo":
        """The same photo with other ``pixels`` (H, W, 3); ``sha256`` stays that of the file it came from.

        A grey photo stays grey: of coloured pixels it takes the luma.
        """
        if pixels.shape != self.pixels.shape or pixels.dtype != np.uint8:
            raise ValueError(f"expected uint8 {self.pixels.shape}, got {pixels.dtype} {pixels.shape}")
        if self.grey and not _is_grey(pixels):
            pixels = np.repeat(np.asarray(Image.fromarray(pixels).convert("L"))[..., None], 3, axis=2)
        return replace(self, pixels=pixels)


# Reading


def open_photo(source: "str | Path | bytes | NDArray[Any] | Image.Image | Photo") -> Photo:
    """A Photo from a path, a file's bytes, an array (from_array), a Pillow picture or a Photo. Raises PhotoError."""
    if isinstance(source, Photo):
        return source
    if isinstance(source, bytes):
        return decode(source)
    if isinstance(source, (str, Path)):
        return read(source)
    if isinstance(source, np.ndarray):
        return from_array(source)
    if isinstance(source, Image.Image):
        return from_image(source)
    raise PhotoError(f"A photo is a path, an array or a Pillow picture, not {type(source).__name__}.")


def read(path: str | Path) -> Photo:
    """The photo in the file ``path``. Raises PhotoError where it is missing, unreadable or no photo."""
    path = as_path(path)
    try:
        if path.exists() and not path.is_file():  # a pipe or a device could be read for ever
            raise PhotoError(f"{path} is not a file; give the path of a photo.")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise PhotoError(f"{path} does not exist; check the path.") from error
    except (OSError, ValueError) as error:
        raise PhotoError(f"{path} cannot be read ({reason(error)}); check the path and its permissions.") from error
    return decode(data, str(path), path)


def as_path(path: str | Path) -> Path:
    """The path. Raises PhotoError on an empty one, which Path would take for the folder that one is in."""
    if path == "":
        raise PhotoError("The path '' is empty; give the name of a file.")
    return Path(path)


def decode(data: bytes, name: str = _NAMELESS, path: Path | None = None) -> Photo:
    """The photo in the bytes ``data`` of a file; of several frames the first. Errors call it ``name``.

    More than 8 bits a channel are rounded to 8. A JPEG file without an end is read where all of its pixels are there.
    Raises PhotoError where the bytes are no photo, damaged, or more than MAX_PIXELS pixels.
    """
    if not data:
        raise PhotoError(f"{name} is empty; choose a photo.")
    with _reading(name):
        try:
            photo = _of_file(opened(data), name, path)
        except OSError:
            if (whole := _completed(data)) is None:
                raise
            photo = _of_file(opened(whole), name, path)
    return replace(photo, sha256=hashlib.sha256(data).hexdigest(), claim=claim_of(data, photo.format))


def _of_file(file: Container, name: str, path: Path | None) -> Photo:
    with Image.open(BytesIO(file.data), formats=_OPENED) as image:
        return _of_picture(image, file, name, "", path)


def _completed(data: bytes) -> bytes | None:
    """A JPEG file with the end that it lacked, where no pixel is missing; else None."""
    shown: NDArray[np.uint8] | None = None
    for file in (ends := ended(data)):
        pixels = np.asarray(Image.open(BytesIO(file), formats=["JPEG"]))
        if shown is not None and not np.array_equal(shown, pixels):
            return None
        shown = pixels
    return ends[0] if ends else None


def from_image(image: Image.Image) -> Photo:
    """The photo in a Pillow picture, turned upright; its format is PNG unless Pillow knows one that shield reads."""
    with _reading(_NAMELESS):
        photo = _of_picture(image, None, _NAMELESS, "", None)
    return replace(photo, sha256=_pixel_hash(photo.pixels, photo.alpha))


def from_array(array: NDArray[Any]) -> Photo:
    """The photo in an RGB array (H, W, 3), RGBA (H, W, 4) or grey (H, W): uint8, or float in [0, 1].

    Raises PhotoError on any other shape, type or range.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise PhotoError(f"A photo array is (H, W), (H, W, 3) or (H, W, 4), not {array.shape}.")
    _check_size(array.shape[1], array.shape[0], "The array")
    levels = np.atleast_3d(_levels_of_array(array))
    pixels = np.repeat(levels, 3, axis=2) if array.ndim == 2 else levels[..., :3].copy()
    alpha = levels[..., 3].copy() if levels.shape[2] == 4 else None
    return Photo(pixels, alpha, icc=None, exif=None, format="png", sha256=_pixel_hash(pixels, alpha))


def _levels_of_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise PhotoError(f"A photo array is uint8, or float in [0, 1], not {array.dtype}.")
    if not (array.min() >= 0 and array.max() <= 1):  # also false where a value is not a number
        raise PhotoError("A float photo array lies in [0, 1]; divide it by its white level.")
    return np.rint(array.astype(np.float64) * 255).astype(np.uint8)


def _pixel_hash(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> str:
    return hashlib.sha256(pixels.tobytes() + (b"" if alpha is None else alpha.tobytes())).hexdigest()


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Drop Pillow's warnings and turn its exceptions into one sentence about ``name``."""
    try:
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(_too_large(name)) from error
    except UnidentifiedImageError as error:
        raise PhotoError(f"{name} is not a photo that shield can read; it reads {_READABLE}.") from error
    except Exception as error:  # on broken bytes Pillow's readers raise nearly everything there is
        raise PhotoError(f"{name} is damaged or cut short ({reason(error)}); try another copy.") from error


def reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def _too_large(name: str) -> str:
    return f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels; make it smaller first."


def _check_size(width: int, height: int, name: str) -> None:
    if width * height == 0:
        raise PhotoError(f"{name} has no pixels; choose another photo.")
    if width * height > MAX_PIXELS:
        raise PhotoError(_too_large(name))


def _of_picture(image: Image.Image, file: Container | None, name: str, sha256: str, path: Path | None) -> Photo:
    _check_size(image.width, image.height, name)
    found = decoded(image, file, name)
    kind = _BY_PILLOW.get(image.format or "", "png")
    return Photo(found.pixels, found.alpha, found.icc, found.exif, kind, sha256, path, found.notes)


def _is_grey(pixels: NDArray[np.uint8]) -> bool:
    return all((row == row[:, :1]).all() for row in pixels)  # a coloured photo is told by its first rows


# Writing


def output_format(photo: Photo, wanted: str | None) -> str:
    """The key of FORMATS to write: ``wanted`` (a name or an extension), or where None the photo's own (GIF: PNG).

    Raises RecipeError on a format that shield does not write.
    """
    if wanted is None:
        return photo.format if FORMATS[photo.format].writable else "png"
    name = BY_NAME.get(wanted.lower().removeprefix("."))
    if name is None or not FORMATS[name].writable:
        raise RecipeError(f"shield does not write the format {wanted!r}; choose from: {', '.join(WRITABLE)}.")
    return name


def encode(photo: Photo, format: str, *, quality: int = JPEG_QUALITY, keep_exif: bool = False) -> bytes:
    """The bytes of a file in ``format``, with the profile, and with ``photo.exif`` where ``keep_exif``.

    ``quality``, 1..100, counts for JPEG, HEIF and AVIF, all written 4:4:4; every other format is lossless. BMP holds
    neither profile nor EXIF. TIFF is deflated, but not where EXIF is kept. A grey photo has one channel, but where a
    profile describes three.
    Raises RecipeError on an unknown format or quality, PhotoError where the format cannot hold the photo.
    """
    kind = FORMATS[output_format(photo, format)]
    if not 1 <= quality <= 100:
        raise RecipeError(f"The quality is {quality}; choose one from 1 to 100.")
    file = BytesIO()
    image = Image.fromarray(_channels(photo, kind))
    try:
        image.save(file, kind.pillow, **_options(photo, kind, quality, keep_exif))
    except Exception as error:  # the codecs' own errors have no common class
        raise PhotoError(
            f"{_name(photo)} cannot be written as {kind.pillow} ({reason(error)}); choose another format."
        ) from error
    return file.getvalue()


def resaved(photo: Photo, format: str, quality: int = JPEG_QUALITY) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a photo after saving it in ``format`` and reading it again."""
    if not FORMATS[format].lossy:
        return photo.pixels
    return decode(encode(replace(photo, alpha=None), format, quality=quality)).pixels


def check_encodable(photo: Photo, format: str) -> None:
    """Raise PhotoError where ``format`` cannot hold the photo, without encoding it."""
    _channels(photo, FORMATS[format])


def _options(photo: Photo, kind: FileFormat, quality: int, keep_exif: bool) -> dict[str, Any]:
    options = dict(kind.options)
    if kind.lossy:
        options["quality"] = quality
    if _has_one_channel(photo):
        options.pop("subsampling", None)  # there is no colour whose size it could choose
    if photo.icc:
        options["icc_profile"] = photo.icc
    if keep_exif and photo.exif:
        options["exif"] = photo.exif
        options.pop("compression", None)  # Pillow writes the camera's part of EXIF into uncompressed TIFF only
    return options


def _channels(photo: Photo, kind: FileFormat) -> NDArray[np.uint8]:
    """(H, W, 3), of a grey photo (H, W); one channel more where there is alpha to write."""
    if max(photo.width, photo.height) > kind.longest_side:
        raise PhotoError(
            f"{_name(photo)} is {photo.width} x {photo.height}, and {kind.pillow} ends at "
            f"{kind.longest_side} pixels a side; choose png or tiff."
        )
    colours = photo.pixels[..., 0] if _has_one_channel(photo) else photo.pixels
    if photo.alpha is None or (not kind.alpha and photo.alpha.min() == 255):
        return np.ascontiguousarray(colours)
    if not kind.alpha:
        raise PhotoError(f"{_name(photo)} is partly transparent, which {kind.pillow} cannot hold; choose png or webp.")
    return np.dstack((colours, photo.alpha))


def _has_one_channel(photo: Photo) -> bool:
    return photo.grey and photo.icc is None  # a profile here describes three


def _name(photo: Photo) -> str:
    return _NAMELESS if photo.path is None else str(photo.path)


# Tensors


def to_levels(pixels: NDArray[np.uint8]) -> Tensor:
    """Pixels (H, W, 3) as a uint8 tensor (1, 3, H, W): a quarter of the memory that ``to_tensor`` takes."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()).unsqueeze(0)


def to_unit(image: Tensor) -> Tensor:
    """Levels (uint8) as float32 in [0, 1]; floats are in [0, 1] already and stay as they are."""
    return image.to(torch.float32).div_(255) if image.dtype == torch.uint8 else image


def to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Pixels (H, W, 3) as a float32 tensor (1, 3, H, W) in [0, 1]."""
    return to_unit(to_levels(pixels))


def shrink(image: Tensor, size: tuple[int, int]) -> Tensor:
    """``image`` (N, C, H, W), levels or in [0, 1], at a smaller ``size`` (height, width), anti-aliased, in [0, 1].

    Levels become floats in strips, so that a large photo never stands in memory as floats; the values are the same.
    """
    if image.dtype == torch.uint8:
        return torch.cat([shrink(_narrowed(channel, size[1]), size) for channel in image.split(1, dim=1)], dim=1)
    return F.interpolate(image, size=size, mode="bilinear", antialias=True)


def _narrowed(levels: Tensor, width: int) -> Tensor:
    strips = levels.split(STRIP, dim=2)
    return torch.cat([shrink(to_unit(strip), (strip.shape[2], width)) for strip in strips], dim=2)


def to_pixels(image: Tensor) -> NDArray[np.uint8]:
    """A tensor (1, 3, H, W) or (3, H, W) in [0, 1], clamped and rounded to pixels (H, W, 3)."""
    planes = image.detach().squeeze(0) if image.ndim == 4 else image.detach()
    if planes.ndim != 3 or planes.shape[0] != 3:
        raise ValueError(f"expected (1, 3, H, W) or (3, H, W), got {tuple(image.shape)}")
    if planes.isnan().any():
        raise PhotoError("The picture holds values that are not numbers, so it cannot be saved.")
    levels: NDArray[np.uint8] = _levels(planes).to(torch.uint8).cpu().numpy()
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def round_to_levels(image: Tensor) -> Tensor:
    """``image`` in [0, 1], any shape, as it will be once saved: the values that ``to_tensor(to_pixels(image))`` has."""
    return _levels(image).div_(255)


def _levels(image: Tensor) -> Tensor:
    return image.to(torch.float32).clamp(0, 1).mul_(255).round_()  # in place on clamp's copy
