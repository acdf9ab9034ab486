"""From a picture that Pillow opened to upright 8-bit RGB: any mode, depth and colour, and in words what was lost."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms

from shield.errors import PhotoError
from shield.formats.colour import (
    ADOBE_RGB,
    HDR,
    CodePoints,
    Colour,
    cleaned,
    is_srgb,
    of_png,
    space_of,
    to_ordinary,
)
from shield.formats.container import Container
from shield.formats.exif import exif_of, names_adobe_rgb, stripped, turn

Pixels = NDArray[np.uint8]

_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
_GREY = {"1", "L", "LA"}
_FOREIGN = "B" if sys.byteorder == "little" else "L"
# Pillow takes of 16 bits the high byte; told of the other byte order it takes the low one.
_LOW_BYTE = {";16B": ";16L", ";16L": ";16B", ";16N": f";16{_FOREIGN}"}
_SEVERAL = {"TIFF": "pages", "MPO": "pictures", "HEIF": "pictures"}
_BITS_PER_SAMPLE = 258  # a TIFF tag
STRIP = 64  # rows


@dataclass(frozen=True)
class Decoded:
    """What of a picture goes on.

    ``pixels``: upright, (H, W, 3). ``alpha``: (H, W), or None. ``icc``: the profile that describes them (None: sRGB).
    ``exif``: what may stay of it. ``notes``: a sentence on everything that was converted or left out.
    """

    pixels: Pixels
    alpha: NDArray[np.uint8] | None
    icc: bytes | None
    exif: bytes | None
    notes: tuple[str, ...]


def decoded(image: Image.Image, file: Container | None, name: str) -> Decoded:
    """The picture ``image``, which came out of ``file`` (None: out of no file). Errors call it ``name``.

    Raises PhotoError where its pixels are of a kind that no photo has, and whatever Pillow raises on broken bytes.
    """
    levels = _sixteen_bits(image, file, name)  # before anything else, since Pillow forgets how the file holds them
    bits = _bits(image, file)
    exif = exif_of(image)
    profile, colour, notes = _described(image, file, names_adobe_rgb(exif))
    flat = _eight_bits(image, levels, colour)
    if flat.mode not in _MODES:
        raise PhotoError(f"{name} stores its pixels as {flat.mode}, which is no photo; save it as 8-bit RGB first.")
    if (upright := turn(exif)) is not None:
        flat = flat.transpose(upright)
    alpha = np.array(flat.convert("RGBA").getchannel("A")) if flat.has_transparency_data else None
    if bits > 8:
        notes.append(f"Its {bits} bits a channel became 8, without dithering.")
    pixels, profile, converted = _colour_managed(flat, profile, image.format)
    notes += converted + list(_left_out(image, file))
    return Decoded(pixels, alpha, profile, stripped(exif), tuple(notes))


# Depth


def _bits(image: Image.Image, file: Container | None) -> int:
    """Of a channel, as the file has them."""
    own = 16 if image.mode.startswith("I") else 8
    said: list[int] = [file.bits if file else 8, image.info.get("bit_depth") or 8, *_samples(image)]
    return max(own, *said)


def _samples(image: Image.Image) -> tuple[int, ...]:
    """Bits of every channel of a TIFF file; of others none."""
    samples: tuple[int, ...] = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
    return samples


def _eight_bits(image: Image.Image, levels: NDArray[np.uint16] | None, codes: CodePoints | None) -> Image.Image:
    """The picture in 8 bits, rounded, and with an ordinary curve where ``codes`` name one of high dynamic range.

    ``levels``: its channels (H, W, C) in 16 bits, where it has more than 8.
    """
    image.load()
    if codes is not None and levels is None:
        levels = np.array(image.convert("RGBA" if image.has_transparency_data else "RGB")).astype(np.uint16)
        levels *= 257
    if levels is None:
        return image
    colours, alpha = np.split(levels, [levels.shape[2] - 1 + levels.shape[2] % 2], axis=2)
    shown = _rounded(colours) if codes is None else _ordinary(colours, codes)
    parts = [shown, _rounded(alpha)]
    if (clear := image.info.get("transparency")) is not None:  # of this very level
        parts[1] = np.where((colours == np.array(clear, np.uint16)).all(axis=2, keepdims=True), 0, 255).astype(np.uint8)
    bands = [Image.fromarray(np.ascontiguousarray(part[..., i])) for part in parts for i in range(part.shape[2])]
    return Image.merge(("L", "LA", "RGB", "RGBA")[len(bands) - 1], bands)


def _ordinary(levels: NDArray[np.uint16], codes: CodePoints) -> Pixels:
    """Of high dynamic range, (H, W, 3) or grey (H, W, 1), in an ordinary one."""
    return to_ordinary(levels.repeat(3 // levels.shape[2], axis=2), codes)[..., : levels.shape[2]]


def _rounded(levels: NDArray[np.uint16]) -> Pixels:
    result = np.empty(levels.shape, np.uint8)
    for top in range(0, len(levels), STRIP):  # in strips: large photos are large
        result[top : top + STRIP] = (levels[top : top + STRIP].astype(np.uint32) + 128) // 257
    return result


def _sixteen_bits(image: Image.Image, file: Container | None, name: str) -> NDArray[np.uint16] | None:
    """Channels (H, W, C) in 0..65535, where the picture has more than 8 bits and they can be read."""
    if image.mode.startswith("I"):
        levels = np.array(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65_535:
            raise PhotoError(f"{name} holds grey levels outside 0..65535; save it with 8 or 16 bits first.")
        white = 2 ** min(16, *_samples(image), 16) - 1
        return np.asarray(levels * 65_535 // white, np.uint16)[..., None]
    if file is None:
        return None
    if image.format == "HEIF" and image.info.get("bit_depth", 8) > 8:
        deep = np.asarray(pillow_heif.open_heif(BytesIO(file.data), convert_hdr_to_8bit=False), np.uint16)
        return deep if deep.ndim == 3 else deep[..., None]
    return _both_bytes(image, file)


def _both_bytes(image: Image.Image, file: Container) -> NDArray[np.uint16] | None:
    """RGB or RGBA of 16 bits, of which Pillow alone would drop the low byte."""
    raw = [_rawmode(tile) for tile in getattr(image, "tile", ())]
    if not raw or any(mode[:-4] not in ("RGB", "RGBA") or mode[-4:] not in _LOW_BYTE for mode in raw):
        return None
    with Image.open(BytesIO(file.data), formats=[image.format or ""]) as other:
        other.tile = list(map(_with_low_byte, other.tile))
        low = np.array(other)
    levels = np.array(image).astype(np.uint16)
    levels <<= 8
    levels |= low
    return levels


def _rawmode(tile: Any) -> str:
    return str(tile.args if isinstance(tile.args, str) else tile.args[0])


def _with_low_byte(tile: Any) -> Any:
    raw = _rawmode(tile)
    raw = raw[:-4] + _LOW_BYTE[raw[-4:]]
    return tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))


# Colour


def _described(
    image: Image.Image, file: Container | None, adobe_rgb: bool
) -> tuple[bytes | None, CodePoints | None, list[str]]:
    """The ICC profile, the code points where they are of high dynamic range, and what to say of it.

    Where a file names its colours several times, what browsers take counts: in a PNG file cICP before iCCP before sRGB
    before gAMA and cHRM, elsewhere a profile before nclx.
    """
    info = image.info
    profile: bytes | None = (file and file.icc) or info.get("icc_profile")
    codes = _codes(image, file)
    if codes is not None and (image.format == "PNG" or profile is None):
        if codes.transfer in HDR:
            said = (
                f"Its high dynamic range ({HDR[codes.transfer]}) became an ordinary one; brighter than white is white."
            )
            return _profile(codes.colour), codes, [said, *_kept(codes.colour)]
        return _profile(codes.colour), None, _kept(codes.colour)
    if profile is not None or "srgb" in info:
        return profile, None, []
    if image.format == "PNG" and {"gamma", "chromaticity"} & info.keys():
        colour = of_png(info.get("gamma"), info.get("chromaticity"))
    elif adobe_rgb:
        colour = ADOBE_RGB
    else:
        return None, None, []
    return _profile(colour), None, _kept(colour)


def _codes(image: Image.Image, file: Container | None) -> CodePoints | None:
    if nclx := image.info.get("nclx_profile"):
        return CodePoints(nclx["color_primaries"], nclx["transfer_characteristics"])
    return file.codes if file else None


def _profile(colour: Colour) -> bytes | None:
    return None if is_srgb(colour) else colour.profile()


def _kept(colour: Colour) -> list[str]:
    if is_srgb(colour):
        return []
    return [f"Its colours ({colour.name}) are kept, named by an ICC profile."]


def _colour_managed(
    image: Image.Image, profile: bytes | None, format: str | None
) -> tuple[Pixels, bytes | None, list[str]]:
    """RGB (H, W, 3) of a picture, its profile where that still describes it, and what to say of it.

    ``format``: of the file it came from. Grey and CMYK become sRGB. A grey picture stays grey: its channels are equal.
    """
    space = space_of(profile or b"")
    if image.mode in _GREY:
        grey = image if image.mode == "L" else image.convert("L")
        used = _to_srgb(grey, profile) if profile and space == b"GRAY" else None
        if profile and space == b"RGB ":  # Pillow writes such files: the curve counts
            used = _to_srgb(grey.convert("RGB"), profile)
        return pixels_of(grey if used is None else used.convert("L")), None, []
    if image.mode == "CMYK":
        used = _to_srgb(image, profile) if profile and space == b"CMYK" else None
        return pixels_of(used or image), None, ["Its CMYK became sRGB."]
    pixels = pixels_of(image)
    if format == "WEBP" and all((np.ptp(row, axis=1) <= 1).all() for row in pixels):
        pixels = pixels_of(image.convert("L"))  # a grey photo, by how lossy WebP rounds its colours
    return pixels, cleaned(profile) if profile else None, []


def pixels_of(image: Image.Image) -> Pixels:
    """RGB (H, W, 3) of a picture of any mode. In strips: NumPy's way to Pillow's pixels takes four copies."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, STRIP):
        bottom = min(image.height, top + STRIP)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)).convert("RGB"))
    return pixels


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    try:
        return ImageCms.profileToProfile(image, BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:  # a broken profile: as if there were none
        return None


# What else was there


def _left_out(image: Image.Image, file: Container | None) -> Iterator[str]:
    frames = file.frames if file else 1
    with suppress(Exception):  # a broken second frame takes nothing from the first
        frames = max(frames, getattr(image, "n_frames", 1))
    if frames > 1:
        word = _SEVERAL.get(image.format or "", "frames")
        yield f"Of its {frames} {word} one is left, the first; the others are left out."
    maps = [kind for kind in image.info.get("aux") or () if "alpha" not in kind]
    if maps or image.info.get("depth_images"):
        yield "The maps beside its pixels (depth, brightness) are left out."
