"""The contact sheet: what was changed, and what manipulators make of it. Every manipulated picture is marked."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from shield.swap import SWAP
from shield.verify.effects import Manipulation
from shield.verify.mark import mark
from shield.verify.swaps import ShownSwap

AMPLIFICATION = 10
SWAP_SIDE = 224  # px
PHOTO_HEIGHT, GAP, CAPTION = 384, 12, 20
INK, PAPER, STOPPED, WHOLE = (32, 32, 36), (250, 250, 248), (20, 110, 60), (170, 40, 30)
MOST_FACES = 4
STRIP = 64  # rows of a photo made smaller

Pixels = NDArray[np.uint8]
_font = ImageFont.load_default


def difference(original: Pixels, protected: Pixels) -> Pixels:
    """The change, ten times amplified around mid-grey."""
    levels = np.empty_like(protected)
    for row, before, after in zip(levels, original, protected, strict=True):  # large photos are large
        row[:] = (AMPLIFICATION * (after.astype(np.int16) - before) + 128).clip(0, 255)
    return levels


def contact_sheet(
    original: Pixels,
    protected: Pixels,
    manipulations: Sequence[Manipulation],
    verdict: str,
    swaps: Sequence[ShownSwap] = (),
) -> Image.Image:
    """Original, protected photo and difference; below, per face and donor, a face swap.

    Then, per face and edit, what is made of the original over what is made of the protected photo.
    """
    top = [(_small(original), "original"), (_small(protected), "protected")]
    top.append((_small(difference(original, protected)), f"difference x{AMPLIFICATION}"))
    rows = [_row([_captioned(image, text) for image, text in top])]
    lending = sorted({swap.face for swap in swaps})[:MOST_FACES]
    for face in lending:
        title = (
            f"{SWAP}: other people (above) with this face, from the original (middle) and the protected photo (below)"
        )
        own = [swap for swap in swaps if swap.face == face]
        rows.append(_titled(title if len(lending) == 1 else f"Face {face + 1}, {title}", _triples(own)))
    shown = sorted({m.face for m in manipulations})[:MOST_FACES]
    for face in shown:
        for surrogate in dict.fromkeys(m.surrogate for m in manipulations):
            tiles = [m for m in manipulations if (m.face, m.surrogate) == (face, surrogate)]
            title = f"{surrogate}: made from the original (above), from the protected photo (below)"
            rows.append(_titled(title if len(shown) == 1 else f"Face {face + 1}, {title}", _pairs(tiles)))
    return _titled(verdict, _stack(rows), outer=GAP)


def swap_picture(original: Pixels, protected: Pixels, swaps: Sequence[ShownSwap], side: int) -> Image.Image:
    """What face swaps make of a photo, in tiles of so many px: a row each of donors, of the original and protected.

    Of a photo that is higher than wide the upper part is shown, or of one that is wider the middle.
    """
    shown = [[_squared(image, side) for image in swap.pictures] for swap in swaps]
    blank = Image.new("RGB", (side, side), PAPER)
    rows = [[_captioned(blank, "")], [], []]
    rows[0] += [_captioned(tiles[0], "another person's picture") for tiles in shown]
    for number, (pixels, text) in enumerate(((original, "the photo"), (protected, "protected by shield"))):
        rows[number + 1] = [_captioned(_squared(Image.fromarray(pixels), side), text)]
        for swap, tiles in zip(swaps, shown, strict=True):
            ink = WHOLE if swap.works[number] else STOPPED
            rows[number + 1].append(_captioned(tiles[number + 1], f"a face swap: {swap.words[number]}", ink))
    return _titled(
        "What a face swap makes of a photo, and of the same photo protected", _stack([*map(_row, rows)]), GAP
    )


def _squared(image: Image.Image, side: int) -> Image.Image:
    return ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS, centering=(0.5, 0.0))


def sample_sheet(title: str, edits: Sequence[str], rows: Sequence[tuple[Pixels, Sequence[Pixels]]]) -> Image.Image:
    """What a manipulator does: a row per face, the face and then its edits."""
    tiles = [
        _row([_captioned(Image.fromarray(face), "original"), *map(_captioned, map(mark, made), edits)])
        for face, made in rows
    ]
    return _titled(title, _stack(tiles), outer=GAP)


def _small(pixels: Pixels) -> Image.Image:
    height, width = pixels.shape[:2]
    factor = max(1, height // (2 * PHOTO_HEIGHT))
    step = factor * STRIP  # in strips: to Pillow a large photo is a third larger still
    strips = [np.asarray(Image.fromarray(pixels[top : top + step]).reduce(factor)) for top in range(0, height, step)]
    size = max(1, round(width * PHOTO_HEIGHT / height)), PHOTO_HEIGHT
    return Image.fromarray(np.concatenate(strips)).resize(size, Image.Resampling.LANCZOS)


def _pairs(tiles: Sequence[Manipulation]) -> Image.Image:
    """A column per edit: the clean result over the broken one."""
    columns = []
    for tile in tiles:
        clean, broken = tile.pictures
        below = _captioned(broken, tile.words, _ink(tile.worked, tile.stopped))
        columns.append(_stack([_captioned(clean, tile.edit), below]))
    return _row(columns)


def _triples(swaps: Sequence[ShownSwap]) -> Image.Image:
    """A column per donor: the donor, then the swap from the original over that from the protected photo."""
    columns = []
    for swap in swaps:
        pictures = swap.pictures
        for image in pictures:
            image.thumbnail((SWAP_SIDE, SWAP_SIDE), Image.Resampling.LANCZOS)
        works, still = swap.works
        inks = INK, WHOLE if works else INK, _ink(works, not still)
        texts = zip(pictures, (f"{swap.donor}, who does not exist", *swap.words), inks, strict=True)
        columns.append(_stack([_captioned(image, text, ink) for image, text, ink in texts]))
    return _row(columns)


def _ink(worked: bool, stopped: bool) -> tuple[int, int, int]:
    """Green where protection stopped what worked, red where it did not, black where nothing worked."""
    return INK if not worked else STOPPED if stopped else WHOLE


def _captioned(image: Image.Image, text: str, ink: tuple[int, int, int] = INK) -> Image.Image:
    width = max(image.width, round(_font(12).getlength(text)) + 4)
    tile = Image.new("RGB", (width, image.height + CAPTION), PAPER)
    tile.paste(image, (0, 0))
    ImageDraw.Draw(tile).text((0, image.height + 3), text, fill=ink, font=_font(12))
    return tile


def _row(tiles: Sequence[Image.Image]) -> Image.Image:
    sheet = Image.new(
        "RGB", (sum(t.width for t in tiles) + GAP * (len(tiles) - 1), max(t.height for t in tiles)), PAPER
    )
    left = 0
    for tile in tiles:
        sheet.paste(tile, (left, 0))
        left += tile.width + GAP
    return sheet


def _stack(rows: Sequence[Image.Image]) -> Image.Image:
    width, height = max(row.width for row in rows), sum(row.height for row in rows) + GAP * (len(rows) - 1)
    sheet, top = Image.new("RGB", (width, height), PAPER), 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + GAP
    return sheet


def _titled(text: str, image: Image.Image, outer: int = 0) -> Image.Image:
    """A text, as wide as the image but readably wide, above it."""
    lines = _wrapped(text, max(300, image.width))
    height = 19 * len(lines) + 6
    width = max(image.width, *(ceil(_font(14).getlength(line)) for line in lines))
    sheet = Image.new("RGB", (width + 2 * outer, image.height + height + 2 * outer), PAPER)
    ImageDraw.Draw(sheet).multiline_text((outer, outer), "\n".join(lines), fill=INK, font=_font(14))
    sheet.paste(image, (outer, outer + height))
    return sheet


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _font(14).getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
