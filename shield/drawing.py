"""Faces outlined on their photo: what shield is about to protect."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from shield.faces import Face
from shield.photo import Photo

INNER, OUTER = (255, 255, 255), (15, 118, 110)  # a light line on a dark one is seen on any photo
WIDTH = 1 / 160  # of the photo's short side
ROUNDING = 0.12  # of a face's height


def outline(photo: Photo, faces: Sequence[Face]) -> Image.Image:
    """The photo with a rounded frame around every face."""
    image = Image.fromarray(photo.pixels)
    draw = ImageDraw.Draw(image)
    width = max(2, round(min(image.size) * WIDTH))
    for face in faces:
        left, top, right, bottom = face.box
        for grown, colour in ((width, OUTER), (0, INNER)):
            box = (left - grown, top - grown, right + grown, bottom + grown)
            draw.rounded_rectangle(box, ROUNDING * face.height, outline=colour, width=width + grown)
    return image
