"""Every registered channel: the real thing, its stand-in near it with gradients, its words."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Generator, Tensor

from shield.channels import AGREEMENT, AS_SAVED, Channel, Transform, View, channels, load_channel, road, verified
from shield.channels.blur import Blur
from shield.channels.channel import Chain
from shield.channels.codec import FAINT, _tables, kept, stand_in
from shield.channels.sizes import Resize
from shield.errors import RecipeError
from shield.photo import Photo, to_pixels, to_tensor
from shield.verify.visibility import psnr

FULL = View(1.0, 300)
every_channel = pytest.mark.parametrize("name", channels)
CODECS = ("jpeg90", "jpeg75", "jpeg50", "webp75", "social")


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def made(name: str, view: View = FULL) -> Transform:
    return channels[name].stand_in(view)


@pytest.fixture(scope="module")
def picture(portrait_photo: Photo) -> Tensor:
    """300 x 251 px of a face, off every block grid."""
    return to_tensor(portrait_photo.pixels[301:601, 402:653].copy())


@every_channel
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


@every_channel
def test_a_seed_decides(name: str, picture: Tensor) -> None:
    first, again = (made(name)(picture, seeded(1)) for _ in range(2))
    assert torch.equal(first, again)


@every_channel
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


def test_a_chain_is_one_channel_after_the_other(picture: Tensor) -> None:
    chain = load_channel("half+jpeg75")
    pixels = to_pixels(picture)
    assert (chain.apply(pixels) == channels["jpeg75"].apply(channels["half"].apply(pixels))).all()
    assert chain.words == "halving its size and JPEG 75"
    assert not chain.only_searched and load_channel("half+noise").only_searched
    expected = made("jpeg75")(made("half")(picture, seeded()), seeded())
    for way in (chain.stand_in(FULL), road("half+jpeg75", FULL)):
        assert isinstance(way, Chain)
        assert torch.equal(way(picture, seeded()), expected)


@pytest.mark.parametrize("load", [load_channel, lambda name: road(name, FULL)])
def test_an_unknown_part_of_a_chain_is_refused(load) -> None:
    with pytest.raises(RecipeError, match="no channel named 'magic'"):
        load("half+magic")


def test_saving_is_what_the_photo_goes_through_where_a_road_names_it(picture: Tensor) -> None:
    saving = made("jpeg75")
    assert road(AS_SAVED, FULL, saving) is saving
    after = road("none+half", FULL, saving)(picture, seeded())
    assert torch.equal(after, made("half")(saving(picture, seeded()), seeded()))
    assert torch.equal(road(AS_SAVED, FULL)(picture, seeded()), picture)


def test_no_file_is_sent_through_what_only_a_search_goes_through() -> None:
    assert set(channels) - set(verified()) == {"noise", "spread-spectrum-blur"}
    assert verified()[0] == AS_SAVED


@every_channel
def test_a_channel_has_words_that_stand_behind_after(name: str) -> None:
    words = channels[name].words
    assert words == words.strip() != "" and not words.endswith(".")
    assert len({channel.words for channel in channels.values()}) == len(channels)


# The real thing


@every_channel
def test_channels_give_pixels_near_the_picture_and_leave_it_alone(small: np.ndarray, name: str) -> None:
    before = small.copy()
    result, again = (channels[name].apply(small) for _ in range(2))
    assert result.dtype == np.uint8
    assert (small == before).all() and (result == again).all()
    back = np.asarray(Image.fromarray(result).resize(small.shape[1::-1], Image.Resampling.BICUBIC))
    difference = np.abs(back.astype(int) - small).mean()
    assert difference == 0 if name == AS_SAVED else 0.1 < difference < 12


def agreement(channel: Channel, pixels: np.ndarray, seed: int) -> float:
    """PSNR of the stand-in's picture to the real one's, both at the photo's size."""
    real = channel.apply(pixels)
    with torch.no_grad():
        found = to_pixels(channel.stand_in(View(1.0, max(pixels.shape[:2])))(to_tensor(pixels), seeded(seed)))
    size = pixels.shape[1::-1]
    one, other = (np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BICUBIC)) for p in (real, found))
    return psnr(one, other)


@every_channel
def test_a_stand_in_agrees_with_what_it_stands_for(name: str, picture: Tensor) -> None:
    assert min(agreement(channels[name], to_pixels(picture), seed) for seed in range(3)) > AGREEMENT


def test_a_stand_in_of_something_else_does_not_agree(picture: Tensor) -> None:
    swapped = Channel("x", channels["jpeg50"].apply, lambda view: Blur(6.0, 6.0, view))
    assert agreement(swapped, to_pixels(picture), 0) < AGREEMENT


def test_jpeg_channels_are_real_codecs_ordered_by_quality(small: np.ndarray) -> None:
    losses = [psnr(small, channels[name].apply(small)) for name in ("jpeg90", "jpeg75", "jpeg50")]
    assert losses == sorted(losses, reverse=True)
    file = BytesIO()
    Image.fromarray(small).save(file, "JPEG", quality=75, subsampling="4:2:0")
    assert (channels["jpeg75"].apply(small) == np.asarray(Image.open(file))).all()


def test_channels_do_what_the_web_does_and_as_much_of_it(portrait: np.ndarray) -> None:
    """Beside Pillow's own words; where a size has to be met again, the filter may be another."""
    image = Image.fromarray(portrait[200:700, 250:730])

    def coded(picture: Image.Image, kind: str, quality: int, **options: str) -> np.ndarray:
        file = BytesIO()
        picture.save(file, kind, quality=quality, **options)
        return np.asarray(Image.open(file).convert("RGB"))

    def sized(width: int, height: int) -> Image.Image:
        return image.resize((width, height), Image.Resampling.LANCZOS)

    wide = image.resize((2160, 1200))
    expected = {
        **{f"jpeg{quality}": coded(image, "JPEG", quality, subsampling="4:2:0") for quality in (90, 75, 50)},
        "none": np.asarray(image),
        "webp75": coded(image, "WEBP", 75),
        "blur": np.asarray(image.filter(ImageFilter.GaussianBlur(1))),
        "half": np.asarray(sized(240, 250).resize(image.size, Image.Resampling.BICUBIC)),
        "screenshot": np.asarray(sized(360, 375)),
        "social": coded(wide.resize((1080, 600), Image.Resampling.LANCZOS), "JPEG", 75, subsampling="4:2:0"),
    }
    assert expected.keys() == {*verified()}
    for name, pixels in expected.items():
        result = channels[name].apply(np.asarray(wide if name == "social" else image))
        assert result.shape == pixels.shape, name
        off = np.abs(result.astype(int) - pixels).mean()
        assert off < 0.5 if name in ("half", "screenshot", "social") else off == 0, name


def test_social_shrinks_only_large_photos(portrait_photo: Photo) -> None:
    wide = np.asarray(Image.fromarray(portrait_photo.pixels).resize((2160, 1080)))
    assert channels["social"].apply(wide).shape == (540, 1080, 3)
    assert channels["social"].apply(portrait_photo.pixels).shape == portrait_photo.pixels.shape


def test_blur_has_its_sigma() -> None:
    line = np.zeros((41, 41, 3), np.uint8)
    line[:, 20] = 255
    profile = channels["blur"].apply(line)[20, :, 0].astype(float)
    profile /= profile.sum()
    sigma = np.sqrt((profile * (np.arange(41) - 20) ** 2).sum())
    assert sigma == pytest.approx(1.0, abs=0.1)
