"""Forgeries with a known flaw, made of untouched faces: what every check of shield.detection has to find.

Each takes a view of a face, a strength and random numbers and returns the view of the forgery.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates
from skimage.color import lab2rgb

from shield.detection.flaws.droplets import plain_skin
from shield.detection.view import CHIN, LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE, FaceView, Floats, Outline

Forge = Callable[[FaceView, float, np.random.Generator], FaceView]
EDGE = 2.0  # px: sigma over which a pasted face fades out
SEAM = 4.0  # px: half the width of a smoothed seam
GRIDS = (2, 4)  # px: what one and two doublings of the size leave


@dataclass(frozen=True)
class Forgery:
    """How to make a flaw and how much of it, in the units that ``unit`` names; the first strength is the faintest."""

    forge: Forge
    strengths: tuple[float, ...]
    unit: str


def blurred_face(view: FaceView, sigma: float, random: np.random.Generator) -> FaceView:
    soft = gaussian_filter(view.pixels, (sigma, sigma, 0))
    return _laid_over(view, soft, _soft_face(view))


def smoothed_seam(view: FaceView, sigma: float, random: np.random.Generator) -> FaceView:
    face = view.inside(view.face_outline)
    depth = distance_transform_edt(face) - distance_transform_edt(~face)
    return _laid_over(view, gaussian_filter(view.pixels, (sigma, sigma, 0)), np.exp(-np.square(depth / SEAM)))


def shifted_skin(view: FaceView, distance: float, random: np.random.Generator) -> FaceView:
    angle, lab = random.uniform(0, 2 * np.pi), view.lab.copy()
    lab[..., 1:] += distance * np.array([np.cos(angle), np.sin(angle)])
    return _laid_over(view, lab2rgb(lab), _soft_face(view))


def relit_face(view: FaceView, factor: float, random: np.random.Generator) -> FaceView:
    """One side of the face ``factor`` times as bright, the other as dark."""
    right = np.arange(view.light.shape[1]) + 0.5 - view.points[:, 0].mean()
    slope = np.clip(right / view.height, -1, 1) * random.choice([-1, 1])
    return _laid_over(view, view.pixels * (factor**slope)[None, :, None], _soft_face(view))


def doubled_brow(view: FaceView, share: float, random: np.random.Generator) -> FaceView:
    line = view.points[LEFT_BROW if random.random() < 0.5 else RIGHT_BROW]
    return _copied(view, line, -random.uniform(0.25, 0.35), share)


def doubled_chin(view: FaceView, share: float, random: np.random.Generator) -> FaceView:
    return _copied(view, view.points[CHIN], random.uniform(0.2, 0.32), share)


def shifted_eye(view: FaceView, distance: float, random: np.random.Generator) -> FaceView:
    """One eye moved up or down by a share of the eyes' distance."""
    between = float(np.linalg.norm(view.middle(RIGHT_EYE) - view.middle(LEFT_EYE)))
    x, y = view.middle(LEFT_EYE if random.random() < 0.5 else RIGHT_EYE)
    rows, columns = np.indices(view.light.shape) + 0.5
    around = np.exp(-(((columns - x) / (0.33 * between)) ** 4) - ((rows - y) / (0.24 * between)) ** 4)
    return _laid_over(view, _shifted(view.pixels, distance * between * random.choice([-1, 1])), around)


def droplet(view: FaceView, levels: float, random: np.random.Generator) -> FaceView:
    """A bright drop with a dark ring, somewhere on plain skin."""
    places = np.argwhere(plain_skin(view))
    if not len(places):
        return view
    row, column = places[random.integers(len(places))]
    rows, columns = np.indices(view.light.shape)
    away = np.hypot(rows - row, columns - column) / random.uniform(2.5, 4.5)
    drop = np.exp(-np.square(away)) - 0.5 * np.exp(-4 * np.square(away - 1.6))
    return _with_pixels(view, view.pixels + levels / 255 * drop[..., None] * random.uniform(0.6, 1, 3))


def grid(view: FaceView, levels: float, random: np.random.Generator) -> FaceView:
    """Waves of one of the periods of ``GRIDS``, both ways."""
    period = random.choice(GRIDS)
    rows, columns = np.indices(view.light.shape)
    waves = (np.cos(2 * np.pi * rows / period) + np.cos(2 * np.pi * columns / period)) / 2
    return _with_pixels(view, view.pixels + levels / 255 * waves[..., None])


FORGERIES = {
    "blur": Forgery(blurred_face, (1.0, 1.5, 2.0, 3.0), "sigma, px"),
    "seam": Forgery(smoothed_seam, (1.5, 2.0, 3.0), "sigma, px"),
    "skin": Forgery(shifted_skin, (12, 16, 24), "distance in a*, b*"),
    "lighting": Forgery(relit_face, (1.8, 2.5, 3.5), "times as bright"),
    "grid": Forgery(grid, (2, 3, 6), "levels"),
    "brows": Forgery(doubled_brow, (0.5, 0.75, 1.0), "opacity"),
    "chin": Forgery(doubled_chin, (0.5, 0.75, 1.0), "opacity"),
    "eyes": Forgery(shifted_eye, (0.1, 0.15, 0.2), "of the eyes' distance"),
    "droplets": Forgery(droplet, (40, 70, 110), "levels"),
}


def _soft_face(view: FaceView) -> Floats:
    """1 inside the face, fading out at its edge, (s, s)."""
    soft: Floats = gaussian_filter(view.inside(view.face_outline).astype(np.float32), EDGE)
    return soft


def _copied(view: FaceView, line: Outline, down: float, share: float) -> FaceView:
    """The strip along a line shown again further down, by a share of the face's height."""
    distance = down * view.height
    steps = np.linspace(0, len(line) - 1, 200)
    drawn = np.ones(view.light.shape, bool)
    x, y = (np.interp(steps, np.arange(len(line)), line[:, axis]) for axis in (0, 1))
    last = len(drawn) - 1  # a view is square
    drawn[np.clip(y.astype(int), 0, last), np.clip(x.astype(int), 0, last)] = False
    strip: Floats = share * np.clip(1.5 - distance_transform_edt(drawn) / 4, 0, 1)
    return _laid_over(view, _shifted(view.pixels, distance), _shifted(strip, distance))


def _shifted(picture: Floats, down: float) -> Floats:
    """A picture (s, s, ...) moved down by px."""
    rows, columns = np.indices(picture.shape[:2], np.float32)
    planes = picture.reshape(*picture.shape[:2], -1)
    moved = [
        map_coordinates(plane, [rows - down, columns], order=1, mode="nearest") for plane in np.moveaxis(planes, 2, 0)
    ]
    shifted: Floats = np.stack(moved, axis=-1).reshape(picture.shape)
    return shifted


def _laid_over(view: FaceView, other: Floats, share: Floats) -> FaceView:
    return _with_pixels(view, view.pixels + share[..., None] * (other - view.pixels))


def _with_pixels(view: FaceView, pixels: Floats) -> FaceView:
    """The view of another picture, in whole levels, whose landmarks stay: they would lie there for a whole face too."""
    levels = (np.rint(255 * pixels.clip(0, 1)) / 255).astype(np.float32)
    return replace(view, pixels=levels, native=levels)
