"""Photos: every kind of file comes in upright and complete, and goes out unharmed, private and never half-written."""

import hashlib
import os
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms
from PIL.JpegImagePlugin import get_sampling
from PIL.PngImagePlugin import PngInfo
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from shield import photo
from shield.errors import PhotoError, RecipeError
from shield.photo import FORMATS, Photo

Pixels = NDArray[np.uint8]
LOSSLESS = ("png", "webp", "bmp", "tiff")
LOSSY = ("jpeg", "heif")
CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]], [[0, 0, 0], [255, 0, 255]]], np.uint8)
PATTERN: Pixels = CORNERS.repeat(16, axis=0).repeat(16, axis=1)  # 48 x 32, six colours, no symmetry
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PLACE = b"PLACEOFGPS"
NOTE = b"NOTEOFMAKER"
XMP = b"<x:xmpmeta><!-- XMPMARK --></x:xmpmeta>"


def noise(height: int = 13, width: int = 17, channels: int = 3) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (height, width, channels), dtype=np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def full_exif(orientation: int = 1) -> Image.Exif:
    """EXIF with what may stay (maker, exposure date) and all that must go, but for the thumbnail."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal.value: "2024:05:06 07:08:09",
        ExifTags.Base.MakerNote.value: NOTE,
    }
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSProcessingMethod.value: PLACE}
    return exif


def with_thumbnail(exif: bytes) -> bytes:
    """Chain an IFD1 to EXIF bytes: one entry (ImageDescription, 8 bytes) that stands for a thumbnail."""
    tiff = bytearray(exif[6:])
    order = "<" if tiff[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "L", tiff, 4)
    (entries,) = struct.unpack_from(order + "H", tiff, first)
    tiff += b"\0" * (len(tiff) % 2)
    struct.pack_into(order + "L", tiff, first + 2 + 12 * entries, len(tiff))
    text = len(tiff) + 18
    tiff += struct.pack(order + "HHHLLL", 1, ExifTags.Base.ImageDescription, 2, 8, text, 0) + b"THUMBNL\0"
    return exif[:6] + bytes(tiff)


# Reading


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heif", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_in_upright(orientation: int, kind: str) -> None:
    as_stored = {
        1: PATTERN,
        2: PATTERN[:, ::-1],
        3: PATTERN[::-1, ::-1],
        4: PATTERN[::-1],
        5: PATTERN.swapaxes(0, 1),
        6: np.rot90(PATTERN, 1),  # the sensor's picture needs a quarter turn clockwise
        7: np.rot90(PATTERN, 2).swapaxes(0, 1),
        8: np.rot90(PATTERN, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = Image.fromarray(np.ascontiguousarray(as_stored))
    data = saved(image, FORMATS[kind].pillow, exif=exif.tobytes(), **FORMATS[kind].options)
    result = photo.decode(data)
    assert (result.height, result.width) == (48, 32)
    assert np.abs(result.pixels.astype(int) - PATTERN)[8::16, 8::16].max() <= 12
    assert result.exif is None


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{FORMATS[kind].extensions[-1]}"
    path.write_bytes(saved(Image.fromarray(PATTERN), FORMATS[kind].pillow))
    result = photo.read(str(path))
    assert (result.format, result.path) == (kind, path)
    assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.pixels.dtype == np.uint8
    assert np.abs(result.pixels.astype(int) - PATTERN)[8::16, 8::16].max() <= 12


def test_of_several_frames_the_first_is_read() -> None:
    frames = [Image.fromarray(PATTERN), Image.fromarray(255 - PATTERN)]
    gif = photo.decode(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    phone = photo.decode(saved(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=95))
    assert (gif.pixels == PATTERN).all()
    assert phone.format == "jpeg"
    assert np.abs(phone.pixels.astype(int) - PATTERN)[8::16, 8::16].max() <= 12


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_rounded(kind: str) -> None:
    levels = np.array([[0, 128, 129, 257, 385, 386, 65_406, 65_407, 65_535]], np.uint16)
    result = photo.decode(saved(Image.fromarray(levels), kind))
    assert result.pixels[0].tolist() == [[v] * 3 for v in (0, 0, 1, 1, 1, 2, 254, 255, 255)]


def test_wide_grey_outside_sixteen_bits_is_refused() -> None:
    assert photo.from_image(Image.fromarray(np.array([[65_535]], np.int32))).pixels.tolist() == [[[255] * 3]]
    for level in (-1, 65_536):
        with pytest.raises(PhotoError, match=r"0\.\.65535"):
            photo.from_image(Image.fromarray(np.array([[level]], np.int32)))


def test_grey_one_bit_and_palette() -> None:
    grey = noise()[..., 0]
    assert (photo.decode(saved(Image.fromarray(grey))).pixels == grey[..., None]).all()
    assert photo.decode(saved(Image.new("1", (3, 2), 1))).pixels.tolist() == [[[255] * 3] * 3] * 2
    palette = Image.fromarray(PATTERN).quantize(6)
    assert (photo.decode(saved(palette)).pixels == PATTERN).all()
    assert photo.decode(saved(palette)).alpha is None


def test_alpha_is_kept_and_colours_below_it_stay() -> None:
    rgba = noise(channels=4)
    rgba[:4, :, 3] = 0
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        result = photo.decode(saved(Image.fromarray(rgba), kind, **options))
        assert result.alpha is not None
        assert (result.pixels == rgba[..., :3]).all() and (result.alpha == rgba[..., 3]).all()


def test_grey_with_alpha_and_transparent_palette() -> None:
    grey = photo.decode(saved(Image.fromarray(noise(channels=2), "LA")))
    assert grey.alpha is not None
    assert (grey.pixels == noise(channels=2)[..., :1]).all() and (grey.alpha == noise(channels=2)[..., 1]).all()
    palette = Image.fromarray(PATTERN).quantize(6)
    hole = palette.getpixel((0, 0))
    result = photo.decode(saved(palette, transparency=hole))
    assert result.alpha is not None
    assert (result.pixels == PATTERN).all()
    assert ((result.alpha == 0) == (PATTERN[0, 0] == PATTERN).all(axis=2)).all()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(kind: str) -> None:
    result = photo.decode(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), kind))
    assert np.abs(result.pixels[8, 8].astype(int) - (255, 0, 0)).max() <= 3


def named_space(profile: bytes, space: bytes) -> bytes:
    return profile[:16] + space + profile[20:]


def test_cmyk_and_grey_profiles_are_used_and_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def convert(image: Image.Image, *_: object, outputMode: str) -> Image.Image:  # noqa: N803
        seen.append(image.mode)
        return Image.new(outputMode, image.size, (1, 2, 3))

    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    for mode, space in (("CMYK", b"CMYK"), ("L", b"GRAY"), ("LA", b"GRAY")):
        result = photo.decode(saved(Image.new(mode, (4, 4)), "TIFF", icc_profile=named_space(SRGB, space)))
        assert result.icc is None and result.pixels[0, 0].tolist() == [1, 2, 3]
    assert seen == ["CMYK", "L", "L"]


@pytest.mark.parametrize(("mode", "space"), [("CMYK", b"CMYK"), ("L", b"GRAY"), ("RGB", b"CMYK"), ("CMYK", b"RGB ")])
def test_a_profile_that_does_not_fit_is_dropped(mode: str, space: bytes) -> None:
    white = (0, 0, 0, 0) if mode == "CMYK" else "white"
    result = photo.decode(saved(Image.new(mode, (4, 4), white), "TIFF", icc_profile=named_space(SRGB, space)))
    assert result.icc is None and (result.pixels == 255).all()


def test_a_real_grey_profile_brightens() -> None:
    grey = Image.new("L", (2, 2), 128)
    linear = photo.decode(saved(grey, icc_profile=grey_profile(gamma=1.0)))
    assert linear.icc is None
    assert np.abs(linear.pixels.astype(int) - 188).max() <= 1  # linear 0.5 is 188 in sRGB


def grey_profile(gamma: float) -> bytes:
    """The smallest valid ICC profile of a grey with a power curve."""
    curve = b"curv" + bytes(4) + struct.pack(">LH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3l", 63_190, 65_536, 54_061)
    tags = struct.pack(">L", 2) + struct.pack(">4sLL", b"kTRC", 156, 16) + struct.pack(">4sLL", b"wtpt", 172, 20)
    head = struct.pack(">L4sL4s4s4s12s4s", 192, bytes(4), 0x02100000, b"mntr", b"GRAY", b"XYZ ", bytes(12), b"acsp")
    light = bytes(28) + struct.pack(">3l", 63_190, 65_536, 54_061) + bytes(48)
    return head + light + tags + curve + white


# Bad input


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60 000 x 60 000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    header = struct.pack(">LLBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def bombs() -> dict[str, bytes]:
    """Between MAX_PIXELS and Pillow's error, where Pillow only warns; and far above."""
    width = struct.pack(">LL", 60_000, 60_000)
    middle = bomb().replace(width, struct.pack(">LL", 12_000, 10_000))
    ihdr = middle[12:29]
    return {"huge.png": bomb(), "large.png": middle.replace(bomb()[29:33], struct.pack(">L", zlib.crc32(ihdr)))}


GOOD = {kind: saved(Image.fromarray(noise(64, 64)), FORMATS[kind].pillow) for kind in FORMATS}
BAD = {
    "empty.jpg": b"",
    "text.jpg": b"this is only text\n" * 40,
    "short.jpg": GOOD["jpeg"][: len(GOOD["jpeg"]) // 2],
    "short.png": GOOD["png"][: len(GOOD["png"]) // 2],
    "short.webp": GOOD["webp"][: len(GOOD["webp"]) // 2],
    "short.heic": GOOD["heif"][: len(GOOD["heif"]) // 2],
    "short.tif": GOOD["tiff"][: len(GOOD["tiff"]) // 2],
    "short.bmp": GOOD["bmp"][: len(GOOD["bmp"]) // 2],
    "head.jpg": GOOD["jpeg"][:20],
    "float.tif": saved(Image.new("F", (4, 4)), "TIFF"),
    "other.ppm": saved(Image.new("RGB", (4, 4)), "PPM"),
} | bombs()


@pytest.mark.parametrize("name", BAD)
def test_bad_files_end_in_one_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BAD[name])
    with pytest.raises(PhotoError) as caught:
        photo.read(path)
    assert_sentence(caught.value, path)
    assert os.listdir(tmp_path) == [name] and path.read_bytes() == BAD[name]


def assert_sentence(error: PhotoError, path: Path) -> None:
    text = str(error)
    assert text.startswith(str(path)) and text.endswith(".") and "\n" not in text and "Traceback" not in text


@pytest.mark.parametrize("name", bombs())
def test_bombs_are_told_by_their_size(name: str) -> None:
    with pytest.raises(PhotoError, match="100 million pixels"):
        photo.decode(BAD[name], name)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="does not exist"):
        photo.read(tmp_path / "none.jpg")
    for path in (tmp_path, Path(os.devnull)):
        with pytest.raises(PhotoError, match="is not a file"):
            photo.read(path)
    for name in ("n" * 300, "nul\0"):
        with pytest.raises(PhotoError, match="cannot be read"):
            photo.read(tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "a.jpg"
    path.write_bytes(GOOD["jpeg"])
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(PhotoError, match="Permission denied") as caught:
        photo.read(path)
    assert_sentence(caught.value, path)


def test_reading_leaves_warnings_and_limits_as_they_were() -> None:
    before = (list(warnings.filters), Image.MAX_IMAGE_PIXELS)
    for name in ("large.png", "text.jpg"):
        with pytest.raises(PhotoError):
            photo.decode(BAD[name])
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS) == before


def test_broken_exif_and_profile_do_not_cost_the_photo() -> None:
    data = saved(Image.fromarray(PATTERN), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f garbage", icc_profile=b"junk")
    result = photo.decode(data)
    assert result.pixels.shape == PATTERN.shape and result.exif is None and result.icc is None


# Arrays and Pillow pictures


def test_float_arrays_are_rounded() -> None:
    levels = np.arange(256, dtype=np.float32).reshape(16, 16)
    assert (photo.from_array(levels / 255).pixels[..., 1] == levels).all()
    assert photo.from_array(np.full((1, 1, 3), 0.9999)).pixels.tolist() == [[[255] * 3]]


def test_arrays_keep_their_channels() -> None:
    rgba = noise(channels=4)
    result = photo.from_array(rgba)
    assert result.format == "png" and result.alpha is not None
    assert (result.pixels == rgba[..., :3]).all() and (result.alpha == rgba[..., 3]).all()
    assert (photo.from_array(rgba[..., 0]).pixels == rgba[..., :1]).all()
    assert (photo.from_array(rgba[:, ::-1, :3]).pixels == rgba[:, ::-1, :3]).all()
    before = result.pixels.copy()
    rgba[:] = 0
    assert (result.pixels == before).all()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((1, 2, 2, 3), np.uint8),
        np.zeros(3, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 2, 3), np.int64),
        np.zeros((2, 2, 3), bool),
        np.full((2, 2, 3), 1.5),
        np.full((2, 2, 3), -0.1),
        np.array([[0.5, np.nan]]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_bad_arrays(array: NDArray[Any]) -> None:
    with pytest.raises(PhotoError):
        photo.from_array(array)


def test_pillow_pictures() -> None:
    plain = photo.from_image(Image.fromarray(PATTERN))
    assert plain.format == "png" and (plain.pixels == PATTERN).all()
    assert plain.sha256 == photo.from_array(PATTERN).sha256 != photo.from_array(255 - PATTERN).sha256
    exif = full_exif(orientation=6)
    turned = photo.from_image(opened(saved(Image.fromarray(PATTERN), "JPEG", exif=exif)))
    assert turned.format == "jpeg" and turned.pixels.shape == (32, 48, 3)
    for bad in (Image.new("F", (2, 2)), Image.new("RGB", (0, 2))):
        with pytest.raises(PhotoError):
            photo.from_image(bad)


def test_open_photo_takes_every_source(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(saved(Image.fromarray(PATTERN)))
    opened_photo = photo.open_photo(path)
    assert photo.open_photo(opened_photo) is opened_photo
    for source in (path, str(path), PATTERN, Image.fromarray(PATTERN)):
        assert (photo.open_photo(source).pixels == PATTERN).all()
    with pytest.raises(PhotoError, match="int"):
        photo.open_photo(7)  # type: ignore[arg-type]


def test_with_pixels_changes_nothing_else() -> None:
    original = photo.decode(saved(Image.fromarray(PATTERN), icc_profile=SRGB))
    changed = original.with_pixels(255 - PATTERN)
    assert (changed.pixels == 255 - PATTERN).all() and (original.pixels == PATTERN).all()
    assert (changed.icc, changed.sha256, changed.format) == (SRGB, original.sha256, "png")
    with pytest.raises(ValueError, match="expected"):
        original.with_pixels(PATTERN[:1])


# Encoding


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_are_exact(kind: str) -> None:
    assert (photo.decode(photo.encode(photo.from_array(noise()), kind)).pixels == noise()).all()


@pytest.mark.parametrize("kind", ["png", "webp", "tiff"])
def test_lossless_formats_are_exact_below_alpha(kind: str) -> None:
    rgba = noise(channels=4)
    rgba[:4, :, 3] = 0
    result = photo.decode(photo.encode(photo.from_array(rgba), kind))
    assert result.alpha is not None
    assert (result.pixels == rgba[..., :3]).all() and (result.alpha == rgba[..., 3]).all()


def test_heif_keeps_alpha() -> None:
    rgba = np.dstack((PATTERN, PATTERN[..., 0]))
    result = photo.decode(photo.encode(photo.from_array(rgba), "heif"))
    assert result.alpha is not None and np.abs(result.alpha.astype(int) - rgba[..., 3])[8::16, 8::16].max() <= 3


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_formats_keep_single_coloured_pixels(kind: str) -> None:
    """4:2:0 would mix the colours of neighbours; 4:4:4 at quality 95 does not."""
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = (180, 60, 60)
    stripes[:, 1::2] = (60, 60, 180)
    result = photo.decode(photo.encode(photo.from_array(stripes), kind)).pixels
    assert np.abs(result.astype(int) - stripes).mean() < 4


def test_jpeg_sampling_and_quality() -> None:
    original = photo.from_array(noise(64, 64))
    fine, coarse = (photo.encode(original, "jpeg", quality=quality) for quality in (95, 40))
    assert get_sampling(opened(fine)) == 0  # 4:4:4
    assert photo.encode(original, "jpeg") == fine and len(coarse) < len(fine)
    assert len(photo.encode(original, "heif", quality=40)) < len(photo.encode(original, "heif"))
    for quality in (0, 101):
        with pytest.raises(RecipeError, match="1 to 100"):
            photo.encode(original, "jpeg", quality=quality)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heif", "tiff"])
def test_profiles_survive_unchanged(kind: str) -> None:
    first = photo.decode(saved(Image.fromarray(PATTERN), FORMATS[kind].pillow, icc_profile=SRGB))
    assert first.icc == SRGB
    assert photo.decode(photo.encode(first, kind)).icc == SRGB


@pytest.mark.parametrize("kind", ["jpeg", "bmp"])
def test_formats_without_alpha(kind: str) -> None:
    opaque = photo.from_array(np.dstack((PATTERN, np.full(PATTERN.shape[:2], 255, np.uint8))))
    assert photo.decode(photo.encode(opaque, kind)).alpha is None
    with pytest.raises(PhotoError, match="choose png or webp"):
        photo.encode(photo.from_array(noise(channels=4)), kind)


@pytest.mark.parametrize(("kind", "side"), [("jpeg", 65_500), ("webp", 16_383)])
def test_longest_side(kind: str, side: int) -> None:
    assert photo.encode(photo.from_array(np.zeros((1, side, 3), np.uint8)), kind)
    with pytest.raises(PhotoError, match=rf"{side + 1} x 1.*choose png"):
        photo.encode(photo.from_array(np.zeros((1, side + 1, 3), np.uint8)), kind)


def test_a_codec_that_fails_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no\nencoder")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(PhotoError, match=r"written as HEIF \(no encoder\); choose another format\."):
        photo.encode(photo.from_array(PATTERN), "heif")


# Privacy


def xmp(kind: str) -> dict[str, Any]:
    if kind != "png":
        return {"xmp": XMP}
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return {"pnginfo": text}


@pytest.fixture(params=["jpeg", "png", "webp", "heif", "tiff"])
def private(request: pytest.FixtureRequest) -> Photo:
    """A photo whose file holds position, maker's note, XMP and (but for TIFF) thumbnail."""
    kind = request.param
    exif = full_exif()
    if kind == "tiff":
        exif[ExifTags.Base.XMLPacket] = XMP
        secrets = [PLACE, NOTE, b"XMPMARK"]
        data = saved(Image.fromarray(PATTERN), "TIFF", exif=exif.tobytes())
    else:
        secrets = [PLACE, NOTE, b"XMPMARK", b"THUMBNL"]
        data = saved(Image.fromarray(PATTERN), FORMATS[kind].pillow, exif=with_thumbnail(exif.tobytes()), **xmp(kind))
    assert all(secret in data for secret in secrets)
    return photo.decode(data)


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "heif", "tiff", "bmp"])
@pytest.mark.parametrize("keep_exif", [False, True])
def test_secrets_never_pass(private: Photo, target: str, keep_exif: bool) -> None:
    data = photo.encode(private, target, keep_exif=keep_exif)
    assert not any(secret in data for secret in (PLACE, NOTE, b"THUMBNL", b"XMPMARK"))
    exif = opened(data).getexif()
    assert not exif.get_ifd(ExifTags.IFD.GPSInfo) and not exif.get_ifd(ExifTags.IFD.IFD1)
    kept = keep_exif and target != "bmp"
    assert exif.get(ExifTags.Base.Make) == ("Maker" if kept else None)
    camera = {ExifTags.Base.DateTimeOriginal: "2024:05:06 07:08:09"} if kept else {}
    assert exif.get_ifd(ExifTags.IFD.Exif) == camera
    assert exif.get(ExifTags.Base.Orientation, 1) == 1


def test_a_turned_photo_is_not_turned_again() -> None:
    first = photo.decode(saved(Image.fromarray(PATTERN), exif=full_exif(orientation=6)))
    again = photo.decode(photo.encode(first, "png", keep_exif=True))
    assert (again.pixels == first.pixels).all() and again.exif == first.exif is not None


# Names


@pytest.mark.parametrize(
    ("own", "wanted", "expected"),
    [
        ("jpeg", None, "jpeg"),
        ("heif", None, "heif"),
        ("gif", None, "png"),
        ("png", "jpg", "jpeg"),
        ("png", "JPEG", "jpeg"),
        ("png", "heic", "heif"),
        ("png", "tif", "tiff"),
        ("png", ".webp", "webp"),
        ("png", "bmp", "bmp"),
    ],
)
def test_output_format(own: str, wanted: str | None, expected: str) -> None:
    source = photo.decode(GOOD[own])
    assert photo.output_format(source, wanted) == expected


@pytest.mark.parametrize("wanted", ["gif", "psd", "", "jpeg "])
def test_unknown_output_formats_list_the_choices(wanted: str) -> None:
    with pytest.raises(RecipeError, match="choose from: jpeg, png, webp, heif, bmp, tiff"):
        photo.output_format(photo.from_array(PATTERN), wanted)


# Tensors


def test_all_levels_survive_the_tensor_and_its_other_range() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    pixels = np.dstack((levels, levels.T, 255 - levels))
    tensor = photo.to_tensor(pixels)
    assert tensor.shape == (1, 3, 16, 16) and tensor.dtype == torch.float32
    assert tensor.min() == 0 and tensor.max() == 1 and tensor.is_contiguous()
    there_and_back = ((tensor * 2 - 1) + 1) / 2
    assert (photo.to_pixels(there_and_back) == pixels).all()
    assert (photo.to_pixels(tensor[0].double()) == pixels).all()
    assert torch.equal(photo.round_to_levels(there_and_back), tensor)


def test_levels_are_shrunk_as_the_floats_they_stand_for_without_ever_being_so_many() -> None:
    class Floats(TorchDispatchMode):
        most = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and result.is_floating_point():
                self.most = max(self.most, result.numel())
            return result

    pixels = np.random.default_rng(0).integers(0, 256, (90, 110, 3), dtype=np.uint8)
    levels = photo.to_levels(pixels)
    assert levels.dtype == torch.uint8
    assert (levels[0].permute(1, 2, 0).numpy() == pixels).all()
    assert torch.equal(photo.to_unit(levels), photo.to_tensor(pixels))
    with Floats() as floats:
        small = photo.shrink(levels, (31, 40))
    assert floats.most <= levels.numel() / 3
    expected = F.interpolate(photo.to_tensor(pixels), size=(31, 40), mode="bilinear", antialias=True)
    assert torch.equal(small, expected)
    assert torch.equal(photo.shrink(photo.to_tensor(pixels), (31, 40)), expected)


def test_rounding_clamps_and_agrees_with_saving() -> None:
    image = torch.rand(1, 3, 9, 7, generator=torch.Generator().manual_seed(1)) * 1.4 - 0.2
    rounded = photo.round_to_levels(image)
    assert torch.equal(rounded, photo.to_tensor(photo.to_pixels(image)))
    assert (rounded - image.clamp(0, 1)).abs().max() <= 0.5 / 255 + 1e-6
    assert photo.to_pixels(image.requires_grad_()).shape == (9, 7, 3)


def test_bad_tensors() -> None:
    with pytest.raises(PhotoError, match="not numbers"):
        photo.to_pixels(torch.full((3, 2, 2), torch.nan))
    for shape in ((2, 3, 4, 4), (1, 4, 4), (4, 4)):
        with pytest.raises(ValueError, match="expected"):
            photo.to_pixels(torch.zeros(shape))
