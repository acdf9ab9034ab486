"""Colour: what a file says its numbers mean, as an ICC profile that says the same and nothing else.

ICC.1:2022 for profiles, ITU-T H.273 for the code points of nclx and cICP, ITU-R BT.2100 for PQ and HLG.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]  # chromaticity, x and y

D65: Point = (0.3127, 0.3290)
PEAK, WHITE = 1000.0, 203.0  # cd/m2: of an HLG screen; of paper white on it and in PQ (ITU-R BT.2408)
STRIP = 64  # rows
SRGB_GAMMA = 0.0  # stands for sRGB's curve, which is no power


@dataclass(frozen=True)
class Colour:
    """An RGB space: its primaries, its white and its curve, a power ``gamma`` (SRGB_GAMMA: sRGB's own curve)."""

    name: str
    red: Point
    green: Point
    blue: Point
    white: Point = D65
    gamma: float = SRGB_GAMMA

    def matrix(self) -> NDArray[np.float64]:
        """Linear RGB to XYZ (3, 3), of which white has Y = 1."""
        columns = np.array([_xyz(point) for point in (self.red, self.green, self.blue)]).T
        scaled: NDArray[np.float64] = columns * np.linalg.solve(columns, _xyz(self.white))
        return scaled

    def profile(self) -> bytes:
        """The ICC profile, version 4, that says the same."""
        adaptation = _adaptation(self.white)
        colorants = (adaptation @ self.matrix()).T
        curve = _parametric(self.gamma)
        tags = {b"wtpt": _xyz_tag(D50), b"chad": b"sf32" + bytes(4) + _fixed(*adaptation.ravel())}
        tags |= {name: _xyz_tag(xyz) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
        return _assembled(struct.pack(">L4s4s4s", 0x04300000, b"mntr", b"RGB ", b"XYZ "), self.name, tags)


_709 = (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)
_P3 = (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)
SRGB = Colour("sRGB", *_709)
ADOBE_RGB = Colour("Adobe RGB (1998)", (0.64, 0.33), (0.21, 0.71), (0.15, 0.06), gamma=563 / 256)

# By the code points of H.273. What is not here is shown as sRGB by everybody.
_PRIMARIES = {
    1: SRGB,
    4: Colour("BT.470 M", (0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: Colour("BT.470 BG", (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: Colour("BT.601", (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: Colour("BT.601", (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: Colour("BT.2020", (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: Colour("DCI-P3", *_P3, (0.314, 0.351)),
    12: Colour("Display P3", *_P3),
    22: Colour("EBU 3213", (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
# The curves of television (1, 6, 14, 15) are shown as sRGB's by browsers, which photos are made for.
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_BY_CHUNKS = "gAMA, cHRM"
PQ, HLG = 16, 18
HDR = {PQ: "PQ", HLG: "HLG"}


@dataclass(frozen=True)
class CodePoints:
    """Colour as video names it: ``primaries`` and ``transfer`` of H.273, in nclx boxes and cICP chunks."""

    primaries: int
    transfer: int

    @property
    def colour(self) -> Colour:
        """The space, with sRGB's curve where the file's is for high dynamic range."""
        space = _PRIMARIES.get(self.primaries, SRGB)
        gamma = _GAMMAS.get(self.transfer, SRGB_GAMMA)
        return Colour(space.name, space.red, space.green, space.blue, space.white, gamma)


def of_png(gamma: float | None, chromaticity: tuple[float, ...] | None) -> Colour:
    """The space that gAMA (the exponent of writing) and cHRM (white, red, green, blue as x, y) describe."""
    power = 1 / gamma if gamma else SRGB_GAMMA
    if chromaticity is None or len(chromaticity) != 8:
        return Colour(_BY_CHUNKS, *_709, gamma=power)
    white, red, green, blue = ((chromaticity[i], chromaticity[i + 1]) for i in range(0, 8, 2))
    return Colour(_BY_CHUNKS, red, green, blue, white, power)


def is_srgb(colour: Colour) -> bool:
    """Whether it is sRGB to the precision in which files give it."""
    own, other = (np.array([c.red, c.green, c.blue, c.white]) for c in (colour, SRGB))
    return colour.gamma == SRGB_GAMMA and bool(np.abs(own - other).max() < 0.001)


# High dynamic range


def to_ordinary(levels: NDArray[np.uint16], codes: CodePoints) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) of 16 bits in PQ or HLG, with sRGB's curve in 8 bits; primaries stay.

    Paper white (203 cd/m2) becomes white, and so does all that is brighter.
    """
    signal = np.linspace(0, 1, 65_536)
    if codes.transfer == PQ:
        light: NDArray[np.uint8] = _encoded(_pq(signal) / WHITE)[levels]
        return light
    scene = _hlg(signal).astype(np.float32)
    luminance = codes.colour.matrix()[1].astype(np.float32)
    result = np.empty(levels.shape, np.uint8)
    for top in range(0, len(levels), STRIP):  # in strips: a large photo never stands in memory as floats
        strip = scene[levels[top : top + STRIP]]
        brightness = (strip @ luminance)[..., None]
        result[top : top + STRIP] = _encoded(strip * brightness**0.2 * PEAK / WHITE)  # the screen's own curve, 1.2
    return result


def _pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in cd/m2 (SMPTE ST 2084)."""
    root = signal ** (32 / 2523)
    light: NDArray[np.float64] = (np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305)
    return 10_000 * light


def _hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of the scene, in [0, 1] (ARIB STD-B67)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def _encoded(light: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Linear light as 8-bit levels of sRGB's curve."""
    inside = np.clip(light, 0, 1)
    curve = np.where(inside <= 0.0031308, 12.92 * inside, 1.055 * inside ** (1 / 2.4) - 0.055)
    levels: NDArray[np.uint8] = np.rint(255 * curve).astype(np.uint8)
    return levels


# Profiles

D50 = (0.9642, 1.0, 0.8249)
_HEADER, _ENTRY = 128, 12
# Numbers that make colour. Every text, date and maker's own tag of a profile may name a place or a person.
_COLOUR_TAGS = {f"{channel}{kind}".encode() for channel in "rgb" for kind in ("XYZ", "TRC")}
_COLOUR_TAGS |= {f"{way}{number}".encode() for way in ("A2B", "B2A", "D2B", "B2D") for number in range(4)}
_COLOUR_TAGS |= {b"wtpt", b"bkpt", b"chad", b"lumi", b"cicp"}
_NUMBERS = {b"XYZ ", b"curv", b"para", b"sf32", b"mft1", b"mft2", b"mAB ", b"mBA ", b"mpet", b"cicp"}
_STANDARD_NAMES = (
    ADOBE_RGB.name,
    "ProPhoto RGB",
    "Apple RGB",
    *(colour.name for colour in _PRIMARIES.values()),
    _BY_CHUNKS,
)
_NAMELESS = "RGB"


def space_of(profile: bytes) -> bytes:
    """The colour space that an ICC profile is for, four letters; empty where it is no profile."""
    return profile[16:20] if profile[36:40] == b"acsp" else b""


def cleaned(profile: bytes) -> bytes | None:
    """An RGB profile of the same colours, number by number, without its texts; None where it is broken.

    What it is called stays where that is one of the usual names.
    """
    tags = dict(_tags(profile))
    kept = {name: body for name, body in tags.items() if name in _COLOUR_TAGS and body[:4] in _NUMBERS}
    by_matrix = {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"} <= kept.keys()
    if space_of(profile) != b"RGB " or not (by_matrix or b"A2B0" in kept):
        return None
    text = tags.get(b"desc", b"").replace(b"\0", b"").decode("latin-1")  # of ASCII and UTF-16 alike
    name = next((name for name in _STANDARD_NAMES if name in text), _NAMELESS)
    return _assembled(profile[8:24], name, kept, profile[64:68])


def _tags(profile: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and bodies, as far as they lie inside the profile."""
    (count,) = struct.unpack_from(">L", profile.ljust(_HEADER + 4, b"\0"), _HEADER)
    end = min(len(profile), _HEADER + 4 + _ENTRY * count)
    for at in range(_HEADER + 4, end - _ENTRY + 1, _ENTRY):
        name, offset, size = struct.unpack_from(">4sLL", profile, at)
        if size >= 8 and offset + size <= len(profile):
            yield name, profile[offset : offset + size]


def _assembled(kind: bytes, name: str, tags: dict[bytes, bytes], intent: bytes = bytes(4)) -> bytes:
    """A profile of these ``tags``. ``kind``: version, class, colour space and connection space, 16 bytes."""
    all_tags = {b"desc": _text(name, kind[0], described=True), b"cprt": _text("CC0", kind[0])} | tags
    offset, table, bodies = _HEADER + 4 + _ENTRY * len(all_tags), struct.pack(">L", len(all_tags)), b""
    places: dict[bytes, int] = {}  # equal bodies are stored once
    for tag, body in all_tags.items():
        if body not in places:
            places[body] = offset + len(bodies)
            bodies += body + bytes(-len(body) % 4)
        table += struct.pack(">4sLL", tag, places[body], len(body))
    date = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    light = _fixed(*D50)
    head = bytes(4) + kind + date + b"acsp" + bytes(24) + intent + light
    size = _HEADER + len(table) + len(bodies)
    return (struct.pack(">L", size) + head).ljust(_HEADER, b"\0") + table + bodies


def _text(text: str, version: int, described: bool = False) -> bytes:
    """A text tag: version 4 has one type, version 2 one for descriptions and one for the rest."""
    if version >= 4:
        return struct.pack(">4s4xLL2s2sLL", b"mluc", 1, 12, b"en", b"US", 2 * len(text), 28) + text.encode("utf-16-be")
    ascii_text = text.encode("ascii") + b"\0"
    if described:
        return struct.pack(">4s4xL", b"desc", len(ascii_text)) + ascii_text + bytes(78)
    return b"text" + bytes(4) + ascii_text


def _parametric(gamma: float) -> bytes:
    if gamma == SRGB_GAMMA:
        return struct.pack(">4s4xHH", b"para", 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return struct.pack(">4s4xHH", b"para", 0, 0) + _fixed(gamma)


def _xyz_tag(xyz: tuple[float, ...] | NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*xyz)


def _fixed(*values: float) -> bytes:
    """s15Fixed16 numbers."""
    return struct.pack(f">{len(values)}l", *(round(65_536 * float(value)) for value in values))


def _xyz(point: Point) -> NDArray[np.float64]:
    x, y = point
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adaptation(white: Point) -> NDArray[np.float64]:
    """From light as white as ``white`` to D50 (Bradford), (3, 3)."""
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    gain = (cone @ np.array(D50)) / (cone @ _xyz(white))
    adaptation: NDArray[np.float64] = np.linalg.inv(cone) @ np.diag(gain) @ cone
    return adaptation
