"""What a photo is stays what it is: grey, colours by whatever name, depth; odd files open; what is lost is said."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile, PngImagePlugin
from PIL.PngImagePlugin import PngInfo
from skimage.color import deltaE_ciede2000, rgb2lab

from shield import photo
from shield.errors import PhotoError
from shield.formats import colour
from shield.formats.colour import CodePoints

Pixels = NDArray[np.uint8]
SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def smooth(channels: int = 3) -> Pixels:
    """64 x 64, of every colour."""
    coarse = np.random.default_rng(0).integers(0, 256, (9, 9, channels), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC))


PICTURE = smooth()


def saved(image: Image.Image | Pixels, kind: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def with_chunks(png: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """The PNG file with these chunks behind its header."""
    return png[:33] + b"".join(chunk(*one) for one in chunks) + png[33:]


def sixteen_bit_png(levels: NDArray[np.uint16], *chunks: tuple[bytes, bytes]) -> bytes:
    kinds = {1: 0, 2: 4, 3: 2, 4: 6}
    height, width, channels = levels.shape
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 16, kinds[channels], 0, 0, 0))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    body = b"".join(chunk(*one) for one in chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


def heif(levels: NDArray[Any], primaries: int, transfer: int) -> bytes:
    """A HEIF file that names its colours by code points; of 10 bits where ``levels`` are uint16."""
    mode = "RGB;16" if levels.dtype == np.uint16 else "RGB"
    file, names = BytesIO(), {"color_primaries": primaries, "transfer_characteristics": transfer}
    picture = pillow_heif.from_bytes(mode, levels.shape[1::-1], levels.tobytes())
    picture.save(file, quality=-1, chroma=444, matrix_coefficients=6, full_range_flag=1, **names)
    return file.getvalue()


# Grey


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "heif", "avif", "bmp", "webp"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_grey_stays_grey_and_of_one_channel(mode: str, kind: str) -> None:
    grey = Image.fromarray(PICTURE[..., 0])
    source = Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    try:
        data = saved(source, photo.FORMATS[kind].pillow)
    except OSError:
        pytest.skip(f"{kind} holds no {mode}")
    first = photo.decode(data)
    assert first.grey
    if kind == "jpeg" or (first.alpha is not None and not photo.FORMATS[kind].alpha):
        first = photo.decode(photo.encode(first, "png"))
    coloured = first.with_pixels(np.clip(first.pixels.astype(int) + np.array([9, 0, -9]), 0, 255).astype(np.uint8))
    assert coloured.grey and (coloured.pixels != first.pixels).any()
    result = photo.encode(coloured, kind)
    assert photo.decode(result).grey
    one_channel = kind != "webp" and (first.alpha is None or kind in ("png", "tiff"))
    assert opened(result).mode in (("L", "LA") if one_channel else ("RGB", "RGBA"))


def test_colour_is_not_taken_for_grey() -> None:
    nearly = np.repeat(PICTURE[..., :1], 3, axis=2)
    nearly[-1, -1, 2] ^= 1
    assert not photo.from_array(nearly).grey and photo.from_array(nearly[:-1]).grey
    assert opened(photo.encode(photo.from_array(nearly), "png")).mode == "RGB"


def test_a_grey_photo_with_a_profile_of_three_channels_keeps_it() -> None:
    grey = np.repeat(PICTURE[..., :1], 3, axis=2)
    result = photo.encode(photo.decode(saved(grey, icc_profile=SRGB_PROFILE.tobytes())), "png")
    assert opened(result).mode == "RGB" and opened(result).info["icc_profile"]


@pytest.mark.parametrize("channels", [1, 3])
def test_one_level_of_sixteen_bits_may_be_transparent(channels: int) -> None:
    levels = np.full((4, 4, channels), 1000, np.uint16)
    levels[0, 0], levels[0, 1] = 1001, 999  # the same in 8 bits
    result = photo.decode(sixteen_bit_png(levels, (b"tRNS", struct.pack(">H", 1000) * channels)))
    assert result.alpha is not None and result.alpha[0].tolist() == [255, 255, 0, 0] and not result.alpha[1:].any()
    assert (result.pixels == 4).all()


# Depth


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colours_are_rounded_and_it_is_said(channels: int) -> None:
    levels = np.random.default_rng(0).integers(0, 65_536, (16, 16, channels), dtype=np.uint16)
    result = photo.decode(sixteen_bit_png(levels))
    assert (result.pixels == np.rint(levels[..., :3] / 257)).all()
    if channels == 4:
        assert result.alpha is not None and (result.alpha == np.rint(levels[..., 3] / 257)).all()
    assert result.notes == ("Its 16 bits a channel became 8, without dithering.",)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}])
def test_sixteen_bit_tiff_files_are_rounded(options: dict[str, Any]) -> None:
    levels = np.random.default_rng(0).integers(0, 65_536, (16, 16, 3), dtype=np.uint16)
    file = BytesIO()
    tifffile.imwrite(file, levels, photometric="rgb", **options)
    result = photo.decode(file.getvalue())
    assert (result.pixels == np.rint(levels / 257)).all()
    assert result.notes == ("Its 16 bits a channel became 8, without dithering.",)


def test_ten_bits_are_rounded_and_it_is_said() -> None:
    levels = np.linspace(0, 65_535, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint16)
    result = photo.decode(heif(levels, 1, 13))
    assert np.abs(result.pixels.astype(float) - levels / 257).max() < 1.3  # 10 bits, a lossy file
    assert result.notes == ("Its 10 bits a channel became 8, without dithering.",)
    flat = photo.decode(heif(np.full((64, 64, 3), 32_950, np.uint16), 1, 13)).pixels
    assert np.ptp(flat) == 0  # half way between two levels: dithering would mix them


# Colour


TO_XYZ = {  # published, IEC 61966-2-1 and SMPTE EG 432-1
    "sRGB": [[0.4123908, 0.3575843, 0.1804808], [0.2126390, 0.7151687, 0.0721923], [0.0193308, 0.1191948, 0.9505322]],
    "P3": [[0.4865709, 0.2656677, 0.1982173], [0.2289746, 0.6917385, 0.0792869], [0.0, 0.0451134, 1.0439444]],
}


def as_srgb(pixels: Pixels, space: str, gamma: float | None = None) -> NDArray[np.float64]:
    """What a colour-managed viewer shows, by the textbook: in [0, 1]."""
    value = pixels / 255
    curve = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    light = curve if gamma is None else value**gamma
    shown = light @ (np.linalg.inv(TO_XYZ["sRGB"]) @ TO_XYZ[space]).T
    shown = shown.clip(0, 1)
    return np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)


def viewed(data: bytes) -> NDArray[np.float64]:
    """What LittleCMS shows of a file, in [0, 1]."""
    image = opened(data)
    profile = image.info.get("icc_profile")
    image = image.convert("RGB")
    if profile:
        image = ImageCms.profileToProfile(image, BytesIO(profile), SRGB_PROFILE, outputMode="RGB")
    return np.asarray(image) / 255


def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Mean CIEDE2000."""
    return float(deltaE_ciede2000(rgb2lab(one), rgb2lab(other)).mean())


P3 = struct.pack(">8L", 31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)
NAMED: dict[str, tuple[bytes, str, float | None]] = {
    "cICP": (with_chunks(saved(PICTURE), (b"cICP", bytes([12, 13, 0, 1]))), "P3", None),
    "cHRM": (with_chunks(saved(PICTURE), (b"cHRM", P3)), "P3", None),
    "gAMA": (with_chunks(saved(PICTURE), (b"gAMA", struct.pack(">L", 100_000))), "sRGB", 1.0),
    "gAMA and cHRM": (with_chunks(saved(PICTURE), (b"gAMA", struct.pack(">L", 55_556)), (b"cHRM", P3)), "P3", 1.8),
    "cICP before gAMA": (
        with_chunks(saved(PICTURE), (b"cICP", bytes([12, 13, 0, 1])), (b"gAMA", struct.pack(">L", 100_000))),
        "P3",
        None,
    ),
    "nclx": (heif(PICTURE, 12, 13), "P3", None),
}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("kind", ["png", "tiff", "webp", "jpeg", "heif", "avif"])
def test_colours_named_by_anything_are_kept_in_every_format(name: str, kind: str) -> None:
    data, space, gamma = NAMED[name]
    result = photo.decode(data)
    expected = as_srgb(result.pixels, space, gamma)
    assert difference(result.pixels / 255, expected) > 1  # it matters
    limit = 1.2 if photo.FORMATS[kind].lossy else 0.35  # of which .25 is rounding to 8 bits
    assert difference(viewed(photo.encode(result, kind)), expected) < limit
    assert any("kept, named by an ICC profile" in note for note in result.notes)
    assert photo.decode(photo.encode(result, kind)).icc == result.icc


@pytest.mark.parametrize(
    "chunks", [[(b"sRGB", b"\0"), (b"gAMA", struct.pack(">L", 45_455))], [(b"cICP", b"\1\15\0\1")]]
)
def test_srgb_by_any_name_needs_no_profile(chunks: list[tuple[bytes, bytes]]) -> None:
    result = photo.decode(with_chunks(saved(PICTURE), *chunks))
    assert result.icc is None and result.notes == ()


def test_an_avif_file_names_its_colours_in_a_box() -> None:
    plain = saved(PICTURE, "AVIF", quality=100, subsampling="4:4:4")
    assert photo.decode(plain).icc is None
    box = plain.index(b"colrnclx") + 8
    wide = plain[:box] + struct.pack(">HH", 12, 13) + plain[box + 4 :]
    result = photo.decode(wide)
    assert difference(viewed(photo.encode(result, "png")), as_srgb(result.pixels, "P3")) < 0.35


def test_a_camera_that_names_adobe_rgb_in_exif_is_believed() -> None:
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {ExifTags.IFD.Interop.value: {ExifTags.Interop.InteropIndex.value: "R03"}}
    result = photo.decode(saved(PICTURE, "JPEG", exif=exif.tobytes()))
    assert result.notes == ("Its colours (Adobe RGB (1998)) are kept, named by an ICC profile.",)


def test_pq_and_hlg_become_ordinary() -> None:
    """Code values of BT.2408: 203 cd/m2 is .58 of PQ and .75 of HLG; 100 cd/m2 is .508 of PQ."""
    for transfer, white in ((16, 0.5807), (18, 0.75)):
        signal = np.full((64, 64, 3), round(white * 65_535), np.uint16)
        signal[:16], signal[16:32] = 0, 65_535
        result = photo.decode(heif(signal, 9, transfer))
        assert result.pixels[0].max() <= 1 and result.pixels[20].min() == 255 and result.pixels[-1].min() >= 253
        assert "high dynamic range" in result.notes[0] and "BT.2020" in result.notes[1] and "10 bits" in result.notes[2]
        assert result.icc is not None
    linear = colour._pq(np.array([0.0, 0.508078, 0.751827, 1.0]))
    assert linear == pytest.approx([0, 100, 1000, 10_000], rel=1e-3)  # SMPTE ST 2084
    codes = np.full((1, 1, 3), round(0.508078 * 65_535), np.uint16)
    assert colour.to_ordinary(codes, CodePoints(9, 16)).ravel().tolist() == [186] * 3


def test_cmyk_is_said() -> None:
    assert photo.decode(saved(Image.new("CMYK", (8, 8)), "JPEG")).notes == ("Its CMYK became sRGB.",)


# Profiles


def with_texts(profile: bytes, text: str) -> bytes:
    """A profile whose texts, private tags and bytes between tags all hold ``text``."""
    tags = dict(colour._tags(profile))
    body = b"text" + bytes(4) + text.encode() + b"\0"
    described = colour._text(text, 4)
    tags |= {b"desc": described, b"cprt": body, b"dmnd": described, b"vued": body, b"made": body}
    return colour._assembled(profile[8:24], "sRGB", tags)


@pytest.mark.parametrize("make", [lambda: SRGB_PROFILE.tobytes(), lambda: colour.ADOBE_RGB.profile()])
def test_a_profile_loses_its_texts_and_no_colour(make: Any) -> None:
    secret = "12 Elm Street, Springfield"
    source = with_texts(make(), secret)
    assert all(text in source for text in (secret.encode(), secret.encode("utf-16-be")))
    first = photo.decode(saved(PICTURE, icc_profile=source))
    assert first.icc is not None
    for kind in ("png", "jpeg", "webp", "heif", "avif", "tiff"):
        data = photo.encode(first, kind, keep_exif=True)
        held = opened(data).info["icc_profile"] + data
        assert not any(secret.encode(coding) in held for coding in ("ascii", "utf-16-be", "utf-16-le"))
    assert np.array_equal(viewed(saved(PICTURE, icc_profile=source)), viewed(photo.encode(first, "png")))
    opened_profile = ImageCms.ImageCmsProfile(BytesIO(first.icc))
    assert ImageCms.getProfileDescription(opened_profile).strip() == "RGB"


def test_usual_names_of_profiles_stay() -> None:
    first = photo.decode(saved(PICTURE, icc_profile=colour.ADOBE_RGB.profile()))
    assert (
        ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(first.icc or b""))).strip()
        == "Adobe RGB (1998)"
    )
    second = photo.decode(photo.encode(first, "png"))
    assert second.icc == first.icc


@pytest.mark.parametrize("cut", [100, 130, 200, 400])
def test_a_profile_that_is_cut_short_is_dropped(cut: int) -> None:
    assert photo.decode(saved(PICTURE, icc_profile=SRGB_PROFILE.tobytes()[:cut])).icc is None


# EXIF


def test_exif_that_is_kept_is_of_the_camera_and_the_picture_alone() -> None:
    """Every tag that there is, as text: what is kept is on a short list, and names neither place nor person."""
    exif, base = Image.Exif(), ExifTags.Base
    main = {base.ImageDescription, base.Make, base.Model, base.Software, base.DateTime, base.Artist, base.Copyright}
    main |= {base.HostComputer, base.DocumentName, base.PageName, base.XPTitle, base.XPAuthor, base.XPComment}
    exif.update({tag.value: f"<{tag.name}>" for tag in main})
    words = [
        tag for tag in base if tag.value >= 0x829A and tag not in main and tag.value not in (0x8769, 0x8825, 0xA005)
    ]
    exif[ExifTags.IFD.Exif] = {tag.value: f"<{tag.name}>" for tag in words if tag.value < 0xC000}
    data = saved(PICTURE, "JPEG", exif=exif.tobytes())
    kept = photo.encode(photo.decode(data), "jpeg", keep_exif=True)
    for name in ("Make", "Model", "LensModel", "ExposureTime", "FNumber", "FocalLength", "DateTimeOriginal"):
        assert f"<{name}>".encode() in data and f"<{name}>".encode() in kept
    gone = "ImageDescription Artist Copyright HostComputer DocumentName XPAuthor DeviceSettingDescription OffsetTime"
    gone += (
        " OffsetTimeOriginal CameraOwnerName BodySerialNumber LensSerialNumber UserComment MakerNote SubjectLocation"
    )
    gone += " ImageUniqueID RelatedSoundFile SpectralSensitivity ImageHistory Software"
    for name in gone.split():
        assert f"<{name}>".encode() in data and f"<{name}>".encode() not in kept, name


# Odd files


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt"])
def test_a_png_file_may_hold_more_text_than_pillow_reads(kind: str) -> None:
    text, long = PngInfo(), "x" * 70_000_000 if kind == "tEXt" else "x" * 1_500_000
    if kind == "iTXt":
        text.add_itxt("Comment", long, zip=True)
    else:
        text.add_text("Comment", long, zip=kind == "zTXt")
    data = saved(PICTURE, pnginfo=text)
    with pytest.raises(ValueError, match=r"text|Decompressed"):
        opened(data).load()
    limits = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY, ImageFile.LOAD_TRUNCATED_IMAGES
    assert (photo.decode(data).pixels == PICTURE).all()
    assert limits == (
        PngImagePlugin.MAX_TEXT_CHUNK,
        PngImagePlugin.MAX_TEXT_MEMORY,
        ImageFile.LOAD_TRUNCATED_IMAGES,
    )


def test_a_png_file_may_hold_a_large_profile() -> None:
    source = SRGB_PROFILE.tobytes() + bytes(2_000_000)
    first = photo.decode(with_chunks(saved(PICTURE), (b"iCCP", b"x\0\0" + zlib.compress(source))))
    assert first.icc is not None and (first.pixels == PICTURE).all()


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"L": 1}]
)
def test_a_jpeg_file_without_end_opens_where_every_pixel_is_there(options: dict[str, Any]) -> None:
    grey = options.pop("L", None)
    data = saved(PICTURE[..., 0] if grey else PICTURE, "JPEG", quality=95, **options)
    assert data.endswith(b"\xff\xd9")
    whole = photo.decode(data).pixels
    for cut in (1, 2):
        assert (photo.decode(data[:-cut]).pixels == whole).all()
        with pytest.raises(OSError, match="truncated"):
            opened(data[:-cut]).load()
    for cut in (6, 20, len(data) // 3):
        with pytest.raises(PhotoError, match="cut short"):
            photo.decode(data[:-cut])


def test_files_of_other_formats_without_end_open() -> None:
    assert (photo.decode(saved(PICTURE)[:-12]).pixels == PICTURE).all()
    palette = Image.fromarray(PICTURE).quantize(16)
    assert (photo.decode(saved(palette, "GIF")[:-1]).pixels == np.asarray(palette.convert("RGB"))).all()


# What is said


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("TIFF", "pages"),
        ("WEBP", "frames"),
        ("PNG", "frames"),
        ("GIF", "frames"),
        ("AVIF", "frames"),
        ("MPO", "pictures"),
    ],
)
def test_pages_and_frames_that_are_left_out_are_said(kind: str, word: str) -> None:
    pictures = [Image.fromarray(part) for part in (PICTURE, 255 - PICTURE, PICTURE // 2)]
    several = photo.decode(saved(pictures[0], kind, save_all=True, append_images=pictures[1:]))
    assert several.notes == (f"Of its 3 {word} one is left, the first; the others are left out.",)
    lone = saved(pictures[0], "JPEG" if kind == "MPO" else kind)
    assert photo.decode(lone).notes == ()
    assert np.abs(several.pixels.astype(int) - PICTURE).mean() < 20  # it is the first


def test_several_pictures_in_a_heif_file_are_said() -> None:
    file = pillow_heif.HeifFile()
    for part in (PICTURE, 255 - PICTURE):
        file.add_from_pillow(Image.fromarray(part))
    data = BytesIO()
    file.save(data)
    assert photo.decode(data.getvalue()).notes == (
        "Of its 2 pictures one is left, the first; the others are left out.",
    )
