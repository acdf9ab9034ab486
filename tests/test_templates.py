"""Templates are the trade's: their eyes, scale and height in the frame are, and faces land where they say."""

import numpy as np
import pytest
import torch
from skimage.transform import SimilarityTransform

from shield.faces import PORTRAIT, PORTRAIT_POINTS, Face, Framing, Template, crop_matrix, similarity, warp
from shield.faces.templates import templates, transformed

# Read from the tools' public constants: distance of the eyes in sides of the frame; size and vertical offset of the
# face against arcface_112.
TRADE = {
    "arcface_112": (0.3146, 1.000, 0.0),
    "arcface_112_v1": (0.2905, 0.899, -0.012),
    "arcface_128": (0.2753, 0.875, -0.063),
    "dfl_whole_face": (0.2746, 0.824, -0.077),
    "mtcnn_512": (0.2674, 0.850, 0.0),
    "ffhq_512": (0.2459, 0.744, -0.005),
}
SWAPPED = [1, 0, 2, 4, 3]  # left and right change places in a mirror

every_template = pytest.mark.parametrize("name", list(templates))


def figures(template: Template) -> tuple[float, float, float]:
    matrix = similarity(templates["arcface_112"].points, template.points)
    centre = transformed(matrix, np.array([(0.5, 0.5)]))[0]
    return template.eye_distance, float(np.hypot(*matrix[:, 0])), float(centre[1] - 0.5)


def mirrored(template: Template) -> Template:
    return Template(template.name, tuple((1 - x, y) for x, y in (template.points[i] for i in SWAPPED)))


def is_sound(template: Template) -> bool:
    """The points in order, the face upright in the middle of the frame: no turn, no mirror, no swap."""
    (lx, ly), (rx, ry), (nx, ny), (mx, my), (ox, oy) = template.points
    in_order = lx < nx < rx and mx < nx < ox and max(ly, ry) < ny < min(my, oy)
    return bool(in_order and abs(ly - ry) < 0.01 and abs((lx + rx) / 2 - 0.5) < 0.02)


def test_all_templates_of_the_trade_are_there() -> None:
    assert set(templates) == {"portrait", "dlib_150", *TRADE}
    assert templates["portrait"] == PORTRAIT == Framing()


@pytest.mark.parametrize("name", list(TRADE))
def test_a_template_has_the_trades_figures(name: str) -> None:
    assert figures(templates[name]) == pytest.approx(TRADE[name], abs=6e-4)


@every_template
def test_a_template_is_sound_and_carries_its_name(name: str) -> None:
    assert templates[name].name == name
    assert is_sound(templates[name])


@every_template
def test_swapped_and_mirrored_points_are_caught(name: str) -> None:
    """The faults that a template may have, planted: swapped sides, a mirror without a swap, a turn, upside down."""
    template = templates[name]
    assert is_sound(mirrored(template))  # a mirror that swaps the sides shows a sound, other face
    for points in (
        tuple(template.points[i] for i in SWAPPED),
        tuple((1 - x, y) for x, y in template.points),
        tuple((y, x) for x, y in template.points),
        tuple((x, 1 - y) for x, y in template.points),
    ):
        assert not is_sound(Template(name, points))


def test_a_mirrored_arcface_template_is_told_from_the_true_one() -> None:
    """It is not symmetrical: its nose and mouth lie a little to the left of the eyes' middle."""
    true = templates["arcface_112"]
    assert np.abs(np.subtract(mirrored(true).points, true.points)).max() > 0.002
    # As insightface publishes it, px of 112.
    published = [(38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20)]
    assert 112 * np.array(true.points) == pytest.approx(np.array(published), abs=0.006)
    assert 112 * np.array(mirrored(true).points) != pytest.approx(np.array(published), abs=0.006)


FIVE = ((210.0, 180.5), (262.0, 171.0), (243.0, 204.0), (223.5, 240.0), (264.5, 231.5))


def test_the_similarity_is_scikit_images_and_the_least_squares() -> None:
    source, target = PORTRAIT_POINTS, np.array(FIVE)
    if hasattr(SimilarityTransform, "from_estimate"):
        reference = SimilarityTransform.from_estimate(source, target)
    else:
        reference = SimilarityTransform()
        reference.estimate(source, target)
    assert similarity(source, target) == pytest.approx(np.asarray(reference.params[:2]))
    # The same by the normal equations: x = a u - b v + s, y = b u + a v + t.
    u, v = source.T
    one, zero = np.ones(5), np.zeros(5)
    rows = np.vstack([np.stack([u, -v, one, zero], 1), np.stack([v, u, zero, one], 1)])
    a, b, s, t = np.linalg.lstsq(rows, target.T.ravel(), rcond=None)[0]
    assert similarity(source, target) == pytest.approx(np.array([(a, -b, s), (b, a, t)]))


def test_no_similarity_fits_points_that_are_all_the_same() -> None:
    with pytest.raises(ValueError, match="all the same"):
        similarity(np.ones((5, 2)), PORTRAIT_POINTS)


@every_template
def test_a_face_that_fits_lands_where_the_template_says(name: str) -> None:
    """On ramps that tell where each px was taken, the points' places show the face's points."""
    template, size = templates[name], 128
    matrix = np.array([(190.0, -40.0, 120.0), (40.0, 190.0, 60.0)])
    face = Face((0, 0, 1, 1), tuple(map(tuple, transformed(matrix, np.array(template.points)).tolist())))
    assert crop_matrix(face, template) == pytest.approx(matrix)
    y, x = torch.meshgrid(torch.arange(500) + 0.5, torch.arange(500) + 0.5, indexing="ij")
    crop = warp(torch.stack([x, y, x + y])[None], face, size, template)
    places = torch.tensor(template.points, dtype=torch.float32) * 2 - 1
    read = torch.nn.functional.grid_sample(crop, places[None, None], align_corners=False)[0, :2, 0].T.numpy()
    assert read == pytest.approx(np.array(face.points), abs=0.1)


def test_a_face_that_does_not_fit_is_framed_in_least_squares() -> None:
    face = Face((0, 0, 1, 1), FIVE)
    for template in templates.values():
        placed = transformed(crop_matrix(face, template), np.array(template.points))
        best = float(((placed - np.array(FIVE)) ** 2).sum())
        for step in (0.3, -0.3):
            for change in np.eye(4):
                a, b, s, t = step * change
                other = crop_matrix(face, template) + np.array([(a, -b, s), (b, a, t)])
                assert float(((transformed(other, np.array(template.points)) - np.array(FIVE)) ** 2).sum()) > best


def test_a_warp_into_a_template_has_gradients() -> None:
    photo = torch.rand(1, 3, 300, 300, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    warp(photo, Face((0, 0, 1, 1), FIVE), 112, templates["arcface_112"]).square().sum().backward()
    assert photo.grad is not None
    assert photo.grad.isfinite().all()
    assert photo.grad[:, :, 170:240, 210:265].abs().min() > 0


@pytest.mark.parametrize(("side", "down"), [(1.0, 0.0), (0.65, 0.06), (1.6, -0.1)])
def test_a_framing_is_the_portrait_template_seen_through_a_square(side: float, down: float) -> None:
    framing = Framing(side=side, down=down)
    inside = np.array([(0.5, 0.5 + down)]) + side * (np.array(framing.points) - 0.5)
    assert inside == pytest.approx(PORTRAIT_POINTS)
    assert (framing.side, framing.down) == (side, down)
    assert isinstance(framing, Template)
