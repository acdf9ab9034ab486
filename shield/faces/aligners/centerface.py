"""CenterFace (Xu et al. 2019, arXiv 1911.03599): boxes and five points of every face, with onnxruntime."""

import numpy as np

from shield.faces.aligners.aligner import Pixels, aligners
from shield.faces.aligners.passes import searched, suppress
from shield.faces.aligners.session import load_session
from shield.faces.face import Face
from shield.faces.templates import as_points

NAME = "centerface"
THRESHOLD, HINT = 0.5, 0.3  # a face; perhaps one, for instance on its side
STRIDE = 4  # px of the input per cell of the output
TILE = 1024  # px: the network knows faces from about 12 px to most of that


def look(pixels: Pixels, threshold: float = THRESHOLD) -> list[Face]:
    """One pass of the network over a picture of any size: what scores higher than the threshold."""
    height, width = pixels.shape[:2]
    padded = np.zeros((-(-height // 32) * 32, -(-width // 32) * 32, 3), np.float32)
    padded[:height, :width] = pixels
    session = load_session(NAME)
    heat, sizes, offsets, points = session.run(None, {"input.1": padded.transpose(2, 0, 1)[None]})
    rows, columns = np.where(heat[0, 0] > threshold)
    faces = []
    for r, c in zip(rows.tolist(), columns.tolist(), strict=True):
        h, w = np.exp(sizes[0, :, r, c]) * STRIDE
        left = (c + offsets[0, 1, r, c] + 0.5) * STRIDE - w / 2
        top = (r + offsets[0, 0, r, c] + 0.5) * STRIDE - h / 2
        y, x = points[0, 0::2, r, c] * h + top, points[0, 1::2, r, c] * w + left
        box = (float(left), float(top), float(left + w), float(top + h))
        faces.append(Face(box, as_points(np.stack([x, y], 1)), float(heat[0, 0, r, c]), NAME))
    return suppress(faces)


@aligners.register(NAME)
def centerface(pixels: Pixels) -> list[Face]:
    return searched(pixels, look, TILE)


def candidates(pixels: Pixels) -> list[Face]:
    """What the network takes for faces, and what it hesitates about."""
    return searched(pixels, lambda picture: look(picture, HINT), TILE)
