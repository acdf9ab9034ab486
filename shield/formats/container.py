"""What a photo's file says that Pillow does not hand on: depth, colour in code points, frames; and what it may skip.

PNG (W3C, third edition), ISO/IEC 14496-12 and 23008-12 for the boxes of AVIF, ITU-T T.81 for the end of a JPEG file.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from shield.formats.colour import CodePoints

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
LARGEST_PROFILE = 32 * 2**20  # bytes, unpacked
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
_PADS = b"", b"\x55" * 512, b"\xaa" * 512  # nothing, and data that differs in every bit


@dataclass(frozen=True)
class Container:
    """``data``: the file, or as much of it as Pillow needs. ``bits`` a channel; ``codes``: colour where it is named so.

    ``frames``: of an animation; ``icc``: the profile where it was taken out of ``data``.
    """

    data: bytes
    bits: int = 8
    codes: CodePoints | None = None
    frames: int = 1
    icc: bytes | None = None


def opened(data: bytes) -> Container:
    """What the file ``data`` holds; of a broken file, or a format that Pillow tells all about, the file alone."""
    try:
        if data.startswith(PNG):
            return _png(data)
        if data[4:8] == b"ftyp":
            return _boxed(data)
    except (struct.error, zlib.error, ValueError):
        pass  # Pillow says what is broken
    return Container(data)


def _png(data: bytes) -> Container:
    """Without texts, over which Pillow refuses the photo where they are longer than 1 MB, and without an animation."""
    kept, found = [PNG], dict[bytes, bytes]()
    for name, chunk in _chunks(data):
        found.setdefault(name, chunk[8:-4] if name != b"IDAT" else b"")
        if name not in _TEXTS | _ANIMATION | {b"iCCP"}:
            kept.append(chunk)
    codes = CodePoints(*found[b"cICP"][:2]) if len(found.get(b"cICP", b"")) == 4 else None
    (frames,) = struct.unpack_from(">L", found.get(b"acTL", b"\0\0\0\1"))
    return Container(b"".join(kept), found[b"IHDR"][8], codes, frames, _png_profile(found.get(b"iCCP", b"")))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and bytes of every chunk; the last may be cut short."""
    at = len(PNG)
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">L4s", data, at)
        yield name, data[at : at + 12 + size]
        at += 12 + size


def _png_profile(body: bytes) -> bytes | None:
    packed = body.partition(b"\0")[2][1:]
    try:
        return zlib.decompressobj().decompress(packed, LARGEST_PROFILE) or None
    except zlib.error:
        return None


def _boxed(data: bytes) -> Container:
    """AVIF and HEIF. The properties of all pictures in the file; the first of a kind is the photo's."""
    bits, codes = 8, None
    for name, body in _properties(data):
        if name == b"av1C" and bits == 8:
            bits = (8, 8, 10, 12)[(body[2] >> 5) & 3]
        elif name == b"colr" and body[:4] == b"nclx" and codes is None:
            codes = CodePoints(*struct.unpack_from(">HH", body, 4))
    return Container(data, bits, codes)


def _properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    for name, meta in _boxes(data):
        if name == b"meta":
            for _, products in (box for box in _boxes(meta[4:]) if box[0] == b"iprp"):
                for _, container in (box for box in _boxes(products) if box[0] == b"ipco"):
                    yield from _boxes(container)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">L4s", data, at)
        head = 8
        if size == 1:  # a long box
            (size,), head = struct.unpack_from(">Q", data, at + 8), 16
        end = at + size if size else len(data)  # 0: up to the end
        if end < at + head:
            return
        yield name, data[at + head : end]
        at = end


def ended(data: bytes) -> tuple[bytes, ...]:
    """A JPEG file without an end, ended in several ways: as it is, and after data that is not its own.

    Where all show the same pixels, all of the photo's were there. Empty where it has its end, or is no JPEG.
    """
    body = data.rstrip(b"\0").removesuffix(b"\xff")
    if not data.startswith(JPEG) or body.endswith(b"\xff\xd9"):
        return ()
    return tuple(body + pad + b"\xff\xd9" for pad in _PADS)
