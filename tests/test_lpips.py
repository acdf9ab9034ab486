"""LPIPS is the package's, number for number, over the trunk in models/."""

import warnings
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from shield import lpips as module
from shield.errors import WeightsError
from shield.faces import Face, crop_matrix
from shield.lpips import Lpips, load_lpips, shrink_to
from shield.photo import read, to_tensor
from shield.region import region_of
from shield.verify.visibility import face_visibility, photo_visibility
from shield.weights import load_tensors

Pixels = NDArray[np.uint8]
SIDE = 256


def noise(count: int = 1, side: int = 64, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def reduced(pixels: Pixels, side: int = SIDE) -> Image.Image:
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS)


def distance(network: Lpips, one: Image.Image, other: Image.Image) -> float:
    return float(network(to_tensor(np.asarray(one)), to_tensor(np.asarray(other))))


@pytest.fixture(scope="module")
def package() -> lpips.LPIPS:
    """The lpips package's own network with torchvision's trunk, layer by layer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    places = {"0": "slice1.0", "3": "slice2.3", "6": "slice3.6", "8": "slice4.8", "10": "slice5.10"}
    tensors = load_tensors("lpips_alexnet")
    assert sorted(tensors) == sorted(f"{number}.{part}" for number in places for part in ("weight", "bias"))
    for name, value in tensors.items():
        number, part = name.split(".")
        network.net.get_parameter(f"{places[number]}.{part}").data.copy_(value)
    return network


@pytest.mark.parametrize("side", [64, 100])
def test_equals_the_package(lpips_network: Lpips, package: lpips.LPIPS, side: int) -> None:
    one, other = noise(3, side), noise(3, side, seed=1)
    expected = package(2 * one - 1, 2 * other - 1).flatten()
    found = lpips_network(one, other)
    assert found.shape == (3,)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_equals_the_package_on_a_portrait(lpips_network: Lpips, package: lpips.LPIPS, portrait: Pixels) -> None:
    one = to_tensor(np.asarray(reduced(portrait, 128)))
    other = (one + 0.1 * (noise(side=128) - 0.5)).clamp(0, 1)
    assert lpips_network(one, other).item() == pytest.approx(package(2 * one - 1, 2 * other - 1).item(), rel=1e-4)


# The network gives 0.722 and 0.138 on the LPIPS authors' own example (ex_ref with ex_p0 and ex_p1 of the repository
# richzhang/PerceptualSimilarity): the values that they publish. These pictures are not in the package, so here are
# values that the network gave on the same day.
def test_values_of_a_blurred_and_a_noisy_portrait_as_recorded(lpips_network: Lpips, portrait: Pixels) -> None:
    original = reduced(portrait)
    blurred = original.filter(ImageFilter.GaussianBlur(2))
    signs = np.random.default_rng(0).integers(0, 2, (SIDE, SIDE, 3)) * 2 - 1
    noisy = Image.fromarray(np.clip(np.asarray(original) + 8 * signs, 0, 255).astype(np.uint8))
    assert distance(lpips_network, original, blurred) == pytest.approx(0.2810, abs=0.002)
    assert distance(lpips_network, original, noisy) == pytest.approx(0.2133, abs=0.002)


def test_value_of_two_portraits_as_recorded(lpips_network: Lpips, shared: Path) -> None:
    folder = shared / "data" / "portraits"
    one, other = (reduced(read(folder / f"portrait_{number:02}.jpg").pixels) for number in (0, 1))
    assert distance(lpips_network, one, other) == pytest.approx(0.6433, abs=0.002)


def test_is_zero_for_equal_pictures_symmetric_and_grows(lpips_network: Lpips, portrait: Pixels) -> None:
    one = to_tensor(np.asarray(reduced(portrait, 64)))
    change = noise() - 0.5
    little, more = (one + 0.05 * change).clamp(0, 1), (one + 0.2 * change).clamp(0, 1)
    assert lpips_network(one, one).item() == 0
    assert lpips_network(one, more).item() == pytest.approx(lpips_network(more, one).item(), rel=1e-5)
    assert 0 < lpips_network(one, little).item() < lpips_network(one, more).item() < 1


def test_pictures_do_not_depend_on_their_batch(lpips_network: Lpips) -> None:
    one, other = noise(3), noise(3, seed=1)
    alone = [lpips_network(a[None], b[None]).item() for a, b in zip(one, other, strict=True)]
    assert lpips_network(one, other).tolist() == pytest.approx(alone, rel=1e-4)


def test_features_that_were_kept_give_the_same_distance(lpips_network: Lpips) -> None:
    one, other = noise(), noise(seed=1)
    kept = list(lpips_network.features(other))
    assert len(kept) == 5
    assert torch.equal(lpips_network.between(lpips_network.features(one), kept), lpips_network(one, other))


def test_features_have_unit_length(lpips_network: Lpips) -> None:
    for layer in lpips_network.features(noise()):
        length = layer.norm(dim=1)
        assert ((length - 1).abs() < 1e-3).logical_or(length == 0).all()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0, None], ids=["black", "grey", "white", "noise"])
def test_the_gradient_is_finite_even_on_flat_and_equal_pictures(lpips_network: Lpips, level: float | None) -> None:
    picture = noise() if level is None else torch.full((1, 3, 64, 64), level)
    for other in (picture.clone(), noise(seed=1)):
        leaf = picture.clone().requires_grad_(True)
        lpips_network(leaf, other).backward()
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
    assert (leaf.grad.abs().amax(dim=(2, 3)) > 0).all()


def test_is_loaded_once_frozen_and_in_evaluation_mode(lpips_network: Lpips, device: torch.device) -> None:
    assert load_lpips(device) is lpips_network
    assert not any(layer.training for layer in lpips_network.modules())
    assert not any(weight.requires_grad for weight in lpips_network.parameters())


@pytest.mark.parametrize("alter", ["missing", "stray", "reshaped"])
def test_another_trunk_is_refused(alter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = load_tensors("lpips_alexnet")
    if alter == "missing":
        del tensors["10.bias"]
    elif alter == "stray":
        tensors["12.weight"] = torch.zeros(1)
    else:
        tensors["0.weight"] = tensors["0.weight"][:, :, :-1]
    monkeypatch.setattr(module, "load_tensors", lambda name: tensors)
    with pytest.raises(WeightsError, match="not AlexNet's trunk"):
        Lpips()


# Of a face and of a photo, as verification reports it


def cut(pixels: Pixels, face: Face, side: int) -> Tensor:
    """The aligned face as Pillow cuts it: four times as fine, then reduced. (1, 3, side, side) in [-1, 1]."""
    matrix = crop_matrix(face) / np.array([4 * side, 4 * side, 1])
    fine = Image.fromarray(pixels).transform(
        (4 * side, 4 * side), Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BICUBIC
    )
    return 2 * to_tensor(np.asarray(fine.resize((side, side), Image.Resampling.BOX))) - 1


def noisy(pixels: Pixels, levels: int) -> Pixels:
    """In blocks of 6 px, so that it matters little how a crop is filtered."""
    height, width = pixels.shape[:2]
    blocks = np.random.default_rng(0).integers(0, 2, (height // 6 + 1, width // 6 + 1, 3)) * 2 - 1
    signs = blocks.repeat(6, 0).repeat(6, 1)[:height, :width]
    return np.clip(pixels + levels * signs, 0, 255).astype(np.uint8)


def test_face_lpips_is_the_packages_of_the_aligned_face_at_both_sides(
    package: lpips.LPIPS, portrait: Pixels, portrait_face: Face, device: torch.device
) -> None:
    """Its framing is 667 px: so at 256 and at 512 px, and at 512 the noise shows more."""
    changed = noisy(portrait, 8)
    found = face_visibility(portrait, changed, region_of(portrait_face, 1024, 1024), device)
    expected = {
        side: package(cut(portrait, portrait_face, side), cut(changed, portrait_face, side)).item()
        for side in (256, 512)
    }
    assert found.lpips == pytest.approx(expected, rel=0.05)
    assert expected[512] > 1.5 * expected[256]
    assert found.face_lpips == found.lpips[512]


def test_photo_lpips_is_the_packages_of_the_whole_photo(
    package: lpips.LPIPS, small: Pixels, device: torch.device
) -> None:
    changed = noisy(small, 6)
    found = photo_visibility(small, changed, [], device).lpips
    expected = package(2 * to_tensor(small) - 1, 2 * to_tensor(changed) - 1).item()
    assert found == pytest.approx(expected, rel=1e-3)
    large = [pixels.repeat(4, 0).repeat(4, 1) for pixels in (small, changed)]
    assert photo_visibility(*large, [], device).lpips == pytest.approx(
        package(*(2 * shrink_to(to_tensor(pixels), 1024) - 1 for pixels in large)).item(), rel=1e-3
    )


# shrink_to


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((300, 200), 100, (100, 67)), ((200, 300), 150, (100, 150)), ((2, 900), 90, (1, 90)), ((50, 50), 20, (20, 20))],
)
def test_shrinks_the_long_side(size: tuple[int, int], side: int, expected: tuple[int, int]) -> None:
    assert shrink_to(torch.zeros(1, 3, *size), side).shape == (1, 3, *expected)


@pytest.mark.parametrize("side", [64, 65, 1000])
def test_never_enlarges(side: int) -> None:
    picture = noise()
    assert torch.equal(shrink_to(picture, side), picture)


def test_shrinks_without_aliasing_or_shift() -> None:
    board = torch.arange(240)[:, None].add(torch.arange(240)).remainder(2).float().expand(1, 3, -1, -1)
    assert (shrink_to(board, 48) - 0.5).abs().max() < 0.03
    ramp = (torch.arange(240) + 0.5).expand(1, 3, 240, -1)
    expected = 5 * (torch.arange(48) + 0.5)
    assert (shrink_to(ramp, 48) - expected)[..., 2:-2].abs().max() < 1e-2
