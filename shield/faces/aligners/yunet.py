"""YuNet (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector"): boxes and five points, with onnxruntime."""

import numpy as np

from shield.faces.aligners.aligner import Pixels, aligners
from shield.faces.aligners.passes import searched, suppress
from shield.faces.aligners.session import load_session
from shield.faces.face import Face
from shield.faces.templates import as_points

NAME = "yunet"
THRESHOLD = 0.5
STRIDES = (8, 16, 32)  # px of the input per cell of each output
TILE = 640  # px: the network takes pictures of this size only


def look(pixels: Pixels) -> list[Face]:
    """One pass of the network over a picture of at most 640 x 640 px."""
    height, width = pixels.shape[:2]
    padded = np.zeros((TILE, TILE, 3), np.float32)
    padded[:height, :width] = pixels[..., ::-1]  # BGR
    session = load_session(NAME)
    names = [output.name for output in session.get_outputs()]
    out = dict(zip(names, session.run(None, {"input": padded.transpose(2, 0, 1)[None]}), strict=True))
    faces = []
    for stride in STRIDES:
        classes, objects, boxes, points = (out[f"{kind}_{stride}"][0] for kind in ("cls", "obj", "bbox", "kps"))
        scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(objects, 0, 1))[:, 0]
        for cell in np.where(scores > THRESHOLD)[0].tolist():
            corner = np.array((cell % (TILE // stride), cell // (TILE // stride)))
            centre = (corner + boxes[cell, :2]) * stride
            half = np.exp(boxes[cell, 2:]) * stride / 2
            (left, top), (right, bottom) = (centre - half).tolist(), (centre + half).tolist()
            five = (points[cell].reshape(5, 2) + corner) * stride
            faces.append(Face((left, top, right, bottom), as_points(five), float(scores[cell]), NAME))
    return suppress(faces)


@aligners.register(NAME)
def yunet(pixels: Pixels) -> list[Face]:
    return searched(pixels, look, TILE)
