"""Every registered transform stays near the picture and the codec it stands for, and lets gradients back."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor

from shield.faces import Face, crop_matrix, whole_picture
from shield.photo import to_pixels, to_tensor
from shield.region import region_of
from shield.transforms import Chain, Transform, View, load_transform, transforms
from shield.transforms.blur import Blur
from shield.transforms.codec import FAINT, _tables, kept, stand_in
from shield.transforms.resize import Resize
from shield.verify.channels import channels
from shield.verify.visibility import psnr

FULL = View(1.0, 300)
every_transform = pytest.mark.parametrize("name", transforms)
SENT = torch.zeros(1, 3, 200, 200)  # what a transform that looks at nothing is shown
CODECS = ("jpeg90", "jpeg75", "jpeg50", "webp75", "social")


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def made(name: str, view: View = FULL, seed: int = 0) -> Transform:
    return transforms[name](view, seeded(seed))


@pytest.fixture(scope="module")
def picture(portrait_photo) -> Tensor:
    """300 x 251 px of a face, off every block grid."""
    return to_tensor(portrait_photo.pixels[301:601, 402:653].copy())


@every_transform
def test_the_same_content_in_range_and_the_picture_left_alone(name: str, picture: Tensor) -> None:
    before, state = picture.clone(), torch.get_rng_state()
    result = made(name)(picture, seeded())
    assert torch.equal(picture, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert result.shape[:2] == (1, 3)
    assert result.shape[3] / result.shape[2] == pytest.approx(251 / 300, abs=0.01)
    assert result.min() >= -0.02
    assert result.max() <= 1.02
    assert (result.mean((2, 3)) - picture.mean((2, 3))).abs().max() < 0.01


@every_transform
def test_a_seed_decides(name: str, picture: Tensor) -> None:
    first, again = (made(name)(picture, seeded(1)) for _ in range(2))
    assert torch.equal(first, again)


@every_transform
def test_gradients_reach_every_channel_and_point_uphill(name: str, picture: Tensor) -> None:
    """Along its gradient a low-frequency brightness grows as the gradient says."""
    leaf = picture.clone().requires_grad_(True)
    weight = torch.linspace(-1, 1, 251)

    def tilt(image: Tensor) -> Tensor:
        ramp = torch.linspace(-1, 1, image.shape[-1])
        return (image * ramp).mean()

    (gradient,) = torch.autograd.grad(tilt(made(name)(leaf, seeded())), leaf)
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().sum((2, 3)) > 0).all()
    change = 0.05 * weight.expand_as(picture)
    with torch.no_grad():
        # The middle of the range: nothing is cut.
        calm = 0.25 + 0.5 * picture
        rise = tilt(made(name)(calm + change, seeded())) - tilt(made(name)(calm, seeded()))
    assert float((gradient * change).sum()) == pytest.approx(float(rise), rel=0.35)


@every_transform
def test_frames_keep_to_the_face(name: str) -> None:
    face = whole_picture(200, 200)
    framed = made(name).frame(face, SENT)
    assert framed.side == pytest.approx(face.side, rel=0.09)
    assert (np.abs(crop_matrix(framed) - crop_matrix(face))[:, 2] < 30).all()


@pytest.mark.parametrize("name", CODECS)
def test_codecs_give_what_the_file_gives_on_the_files_own_grid(name: str, picture: Tensor) -> None:
    square = picture[..., :240, :240]  # whole blocks
    aligned = next(seed for seed in range(1000) if torch.randint(16, (2,), generator=seeded(seed)).sum() == 0)
    found = made(name)(square, seeded(aligned))
    assert (to_pixels(found) == channels[name].apply(to_pixels(square))).all()


@pytest.mark.parametrize(("quality", "floor"), [(90, 39), (75, 37), (50, 36)])
def test_the_linear_stand_in_is_close_to_the_codec(quality: int, floor: float, picture: Tensor) -> None:
    """Only coefficients' rounding sets them apart: it goes most of the way from the picture to the file."""
    square = picture[..., :240, :240]
    real = channels[f"jpeg{quality}"].apply(to_pixels(square))
    assert psnr(real, to_pixels(stand_in(square, quality))) > floor


def test_colours_at_full_size_are_kept_at_full_size(picture: Tensor) -> None:
    square = picture[..., :240, :240]
    file = BytesIO()
    Image.fromarray(to_pixels(square)).save(file, "JPEG", quality=90, subsampling="4:4:4")
    real = np.asarray(Image.open(file))
    whole, halved = (psnr(real, to_pixels(stand_in(square, 90, halved))) for halved in (False, True))
    assert whole > max(halved, 40)


def test_the_stand_in_has_jpegs_tables_and_keeps_what_they_keep() -> None:
    # ITU T.81, Annex K: the luminance table's first row, as libjpeg writes it at quality 50.
    assert _tables(50)[0, 0].tolist() == [16, 11, 10, 16, 24, 40, 51, 61]
    ramp = torch.linspace(-60, 60, 8).expand(1, 1, 8, 8)
    strong, weak = kept(ramp, _tables(50)[0]), kept(0.01 * ramp, _tables(50)[0])
    assert torch.allclose(weak, FAINT * 0.01 * ramp, atol=1e-4)
    assert (strong - ramp).abs().max() < 5


@pytest.mark.parametrize("name", ["half", "screenshot", "blur"])
def test_a_stand_in_is_close_to_what_it_stands_for(name: str, picture: Tensor) -> None:
    pixels = to_pixels(picture)
    real, found = channels[name].apply(pixels), made(name)(picture, seeded())
    if name == "half":  # the channel enlarges it again
        found = torch.nn.functional.interpolate(found, size=real.shape[:2], mode="bicubic").clamp(0, 1)
    assert psnr(real, to_pixels(found)) > 38


def test_codecs_move_their_grid(picture: Tensor) -> None:
    results = [made("jpeg50")(picture, seeded(seed)) for seed in range(4)]
    assert len({float(result.sum()) for result in results}) == 4


def test_sizes_are_of_the_photo_not_of_the_view(picture: Tensor) -> None:
    assert made("half")(picture, seeded()).shape[2:] == (150, 126)
    assert made("half", View(0.5, 600))(picture, seeded()) is picture
    assert made("social", View(1.0, 2160))(picture, seeded()).shape[2:] == (150, 126)
    assert made("social", View(0.5, 2160))(picture, seeded()).shape == picture.shape
    sharp, half_view = Blur(2.0, 2.0, FULL), Blur(2.0, 2.0, View(0.5, 600))
    assert half_view.highest == sharp.highest / 2
    assert Resize(0.5, FULL).factor == 0.5


def test_the_spread_spectrum_blur_blurs_differently_every_time(picture: Tensor) -> None:
    blur, generator = made("spread-spectrum-blur"), seeded()
    sharpness = [float(blur(picture, generator).diff(dim=3).abs().mean()) for _ in range(4)]
    assert len(set(sharpness)) == 4


def test_reframing_moves_turns_and_scales_the_frame_by_the_measures() -> None:
    face = Face((40.0, 40.0, 160.0, 160.0), whole_picture(200, 200).points)
    moved = face.reframed((0.04, -0.04), 1.08, 4.0)
    corner = crop_matrix(moved) @ np.array([0.5, 0.5, 1])
    assert corner == pytest.approx([108, 92])
    assert moved.side == pytest.approx(1.08 * 200)
    right = crop_matrix(moved) @ np.array([1.0, 0.5, 1]) - corner
    assert np.degrees(np.arctan2(right[1], right[0])) == pytest.approx(4.0)
    frames = {
        tuple(np.round(crop_matrix(made("reframed", seed=seed).frame(face, SENT)).ravel(), 3)) for seed in range(12)
    }
    assert len(frames) > 4


def test_the_region_of_a_reframed_face_is_still_in_the_photo() -> None:
    region = region_of(whole_picture(200, 200).reframed((0.04, 0.04), 1.08, 4.0), 200, 200)
    assert (region.left, region.top, region.right, region.bottom) == (0, 0, 200, 200)


def test_a_chain_is_one_transform_after_the_other(picture: Tensor) -> None:
    chain = load_transform("half+jpeg75", FULL, seeded())
    assert isinstance(chain, Chain)
    expected = made("jpeg75")(made("half")(picture, seeded()), seeded())
    assert torch.equal(chain(picture, seeded()), expected)
    assert expected.shape[-2:] == (150, 126)


def test_a_chain_frames_as_its_parts_do() -> None:
    face = whole_picture(200, 200)
    chained = load_transform("reframed+blur", FULL, seeded()).frame(face, SENT)
    assert chained == load_transform("reframed", FULL, seeded()).frame(face, SENT) != face


def test_a_face_found_anew_is_near_where_the_detector_finds_it_and_never_twice_the_same(picture: Tensor) -> None:
    face = whole_picture(200, 200)
    elsewhere = face.moved(-10, 5)
    asked: list[Tensor] = []

    def find(known: Face, sent: Tensor) -> Face:
        assert known == face
        asked.append(sent)
        return elsewhere

    road = load_transform("jpeg75+found", View(1.0, 300, find), seeded())
    sent = road(picture, seeded())
    corners = np.stack([crop_matrix(road.frame(face, sent)) for _ in range(5)])
    assert all(torch.equal(each, sent) for each in asked)
    assert len(asked) == 5
    assert np.abs(corners - crop_matrix(elsewhere)).max() < 1.5  # px of 200
    assert np.ptp(corners, axis=0).min() > 0


def test_saving_is_what_the_photo_goes_through_where_a_road_names_it(picture: Tensor) -> None:
    saving = made("jpeg75")
    road = load_transform("none+found", FULL, seeded(), saving)
    assert torch.equal(road(picture, seeded()), saving(picture, seeded()))
