"""Every registered attack keeps the same promises: it climbs, within the bound, in whole levels, and by its seed."""

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from shield.attacks.adam import adam_update
from shield.attacks.apgd import StepControl, checkpoints
from shield.attacks.loop import Attack, GradientAttack, Here, along, attacks
from shield.attacks.lpa import rounds
from shield.attacks.momentum import momentum_update, nesterov_update
from shield.attacks.sign import sign_update
from shield.bounds import Begun, Excesses, FaceLpips, Linf, LpipsBound, Steered
from shield.channels import AsSaved
from shield.disruption import Disruption, Target
from shield.errors import RecipeError, SearchError
from shield.faces import Face, warp, whole_picture
from shield.frames import Frames
from shield.lpips import Lpips
from shield.objectives.output import output
from shield.photo import round_to_levels, to_tensor
from shield.surrogates import Surrogate, chosen

Loss = Callable[[Tensor], Tensor]
Steps = list[tuple[int, int, float]]

SIDE, LEVELS, AWAY, STEPS = 24, 8, 5, 10

# Asks for losses more often than it steps, by so much.
CALLS = {
    "torchattacks:VMIFGSM": 6,  # the picture and five neighbours
    "torchattacks:SINIFGSM": 5,  # at five brightnesses
    "torchattacks:EOTPGD": 2,
    "torchattacks:Square": 20,
}
# Learns from copies that are darker, smaller or moved.
COPYING = {f"torchattacks:{name}" for name in ("DIFGSM", "TIFGSM", "SINIFGSM", "VMIFGSM")}
# Sees no single pixels: random squares, blurred and moved gradients.
COARSE = {"torchattacks:Square", "torchattacks:TIFGSM", "torchattacks:DIFGSM"}


# Asks for no loss: what the bound begins with is the result.
BLIND = {"universal", "instant"}


@pytest.fixture(params=sorted(attacks))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def attack(name: str) -> Attack:
    return attacks[name](STEPS)


@pytest.fixture(params=sorted(set(attacks) - BLIND))
def asking(request: pytest.FixtureRequest) -> str:
    """Every attack that asks for the loss."""
    return str(request.param)


@pytest.fixture(params=sorted(set(attacks) - COARSE - BLIND))
def sharp(request: pytest.FixtureRequest) -> Attack:
    """Every attack that can find a target of single pixels."""
    return attacks[request.param](STEPS)


def photo() -> Tensor:
    """In whole levels, with black and white in it."""
    levels = torch.randint(0, 256, (1, 3, SIDE, SIDE), generator=Generator().manual_seed(0))
    return levels / 255


def target() -> Tensor:
    """AWAY levels from the photo everywhere, towards the middle of the range."""
    return photo() - AWAY / 255 * (photo() - 0.5).sign()


def nearness(image: Tensor) -> Tensor:
    """A loss to climb: 0 at the photo, 1 at the target."""
    return 1 - (image - target()).square().mean() / (AWAY / 255) ** 2


def linf(weights: Tensor | None = None) -> Linf:
    return Linf(photo(), LEVELS, torch.ones(1, 1, 1, 1) if weights is None else weights)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def change_in_levels(image: Tensor) -> Tensor:
    return 255 * (image - photo())


# The contract


def test_climbs(sharp: Attack) -> None:
    steps: Steps = []
    result = sharp(nearness, photo(), linf(), seeded(), lambda *step: steps.append(step))
    reached = nearness(result).item()
    assert reached > 0.5
    assert reached > steps[0][2] + 0.4
    assert reached == pytest.approx(steps[-1][2], abs=1e-5)


@pytest.mark.parametrize("loss", [nearness, lambda image: nearness(2 * photo() - image)], ids=["inwards", "outwards"])
def test_the_result_is_a_picture_in_whole_levels_within_the_bound(name: str, attack: Attack, loss: Loss) -> None:
    result = attack(loss, photo(), linf(), seeded())
    assert result.shape == photo().shape
    assert not result.requires_grad
    assert torch.equal(result, round_to_levels(result))
    assert result.min() >= 0
    assert result.max() <= 1
    assert change_in_levels(result).abs().max() <= LEVELS + 1e-3
    if name not in COARSE:
        assert change_in_levels(result).abs().max() >= AWAY - 1e-3


def test_changes_only_where_it_may(attack: Attack) -> None:
    weights = torch.linspace(0, 1, SIDE).expand(1, 1, SIDE, SIDE).clone()
    weights[..., 5:9, 10:] = 0
    result = attack(nearness, photo(), linf(weights), seeded())
    change = change_in_levels(result).abs()
    assert (change <= LEVELS * weights + 0.501).all()
    assert change[..., 5:9, 10:].max() < 1e-3


def test_a_seed_gives_the_same_picture_and_another_seed_another(attack: Attack) -> None:
    first, again, other = (attack(nearness, photo(), linf(), seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_global_random_numbers_and_the_photo_are_left_alone(attack: Attack) -> None:
    state, original = torch.get_rng_state(), photo()
    attack(nearness, original, linf(), seeded())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(original, photo())


def test_progress_counts_every_step_and_its_best_never_falls(attack: Attack) -> None:
    steps: Steps = []
    attack(nearness, photo(), linf(), seeded(), lambda *step: steps.append(step))
    numbers, totals, best = zip(*steps, strict=True)
    assert list(numbers) == list(range(totals[0] + 1))
    assert set(totals) == {totals[0]}
    assert list(best) == sorted(best)


class CancelledSearchError(Exception):
    pass


@pytest.mark.parametrize("at", [0, 1])
def test_an_exception_from_progress_cancels(attack: Attack, at: int) -> None:
    seen = []

    def progress(step: int, steps: int, best: float) -> None:
        seen.append(step)
        if step == at:
            raise CancelledSearchError

    with pytest.raises(CancelledSearchError):
        attack(nearness, photo(), linf(), seeded(), progress)
    assert seen == list(range(at + 1))


def not_a_number(image: Tensor) -> Tensor:
    return image.mean() * float("nan")


def infinite(image: Tensor) -> Tensor:
    return image.mean() / 0.0


def without_gradient_at_zero(image: Tensor) -> Tensor:
    """0 with a gradient of inf * 0."""
    return (image - image.detach()).abs().sum().sqrt()


@pytest.mark.parametrize("loss", [not_a_number, infinite, without_gradient_at_zero])
def test_a_loss_that_is_not_a_number_raises(asking: str, loss: Loss) -> None:
    if asking == "torchattacks:Square" and loss is without_gradient_at_zero:
        pytest.skip("takes no gradients")
    with pytest.raises(SearchError, match="not a number"):
        attacks[asking](STEPS)(loss, photo(), linf(), seeded())


def test_a_loss_that_breaks_down_on_the_way_raises(asking: str) -> None:
    calls = []

    def loss(image: Tensor) -> Tensor:
        calls.append(image)
        return nearness(image) * (float("nan") if len(calls) == 2 else 1)

    with pytest.raises(SearchError, match="not a number"):
        attacks[asking](STEPS)(loss, photo(), linf(), seeded())


class Broken(Linf):
    """A bound that cannot tell."""

    def excesses(self, image: Tensor) -> Excesses:
        return (torch.full((), float("nan")),)


def test_an_excess_that_is_not_a_number_raises(asking: str) -> None:
    with pytest.raises(SearchError, match="not a number"):
        attacks[asking](STEPS)(nearness, photo(), Broken(photo(), LEVELS, torch.ones(1, 1, 1, 1)), seeded())


def test_the_loss_is_judged_on_whole_levels(asking: str) -> None:
    judged = []

    def loss(image: Tensor) -> Tensor:
        judged.append(image.detach().clone())
        return nearness(image)

    result = attacks[asking](STEPS)(loss, photo(), linf(), seeded())
    if asking in COPYING:  # what else it looks at is no candidate
        judged = [image for image in judged if change_in_levels(image).abs().max() <= LEVELS + 1e-3]
        judged = [image for image in judged if torch.equal(image, round_to_levels(image))]
    assert len(judged) >= 2
    assert all(torch.equal(image, round_to_levels(image)) for image in judged)
    assert all(change_in_levels(image).abs().max() <= LEVELS + 1e-3 for image in judged)
    assert any(torch.equal(image, result) for image in judged)
    assert nearness(result).item() == pytest.approx(max(nearness(image).item() for image in judged))


def test_ends_at_the_goal(sharp: Attack) -> None:
    """And says so: the last progress is that of the last step, whenever it comes."""
    steps: Steps = []
    result = sharp(lambda image: nearness(image) + 0.9, photo(), linf(), seeded(), lambda *step: steps.append(step))
    assert steps[-1][0] == steps[-1][1]
    assert [best >= 1 for *_, best in steps] == [False] * (len(steps) - 1) + [True]
    assert nearness(result).item() >= 0.1


def test_takes_one_loss_more_than_steps_at_most(name: str, attack: Attack) -> None:
    """The last call judges the last step."""
    calls = []

    def loss(image: Tensor) -> Tensor:
        calls.append(image)
        return nearness(image)

    attack(loss, photo(), linf(), seeded())
    assert len(calls) <= STEPS * CALLS.get(name, 1) + 3 * (name in CALLS) + 1


def test_an_unknown_attack_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"no attack named 'nothing'.*adam, apgd, fgsm"):
        attacks["nothing"]


# The updates, by hand


def test_the_sign_forgets_the_size() -> None:
    gradient = torch.tensor([3e-9, -2.0, 0.0])
    assert sign_update()(gradient, 0).tolist() == [1, -1, 0]


def test_adam_is_torchs_adam() -> None:
    weight = nn.Parameter(torch.zeros(4))
    optimiser = torch.optim.Adam([weight], lr=1, betas=(0.9, 0.999), eps=1e-12, maximize=True)
    update, total = adam_update(), torch.zeros(4)
    for step in range(5):
        gradient = torch.randn(4, generator=seeded(step)) * torch.tensor([1, 1e-3, 1e-6, 10])
        weight.grad = gradient
        optimiser.step()
        total = total + update(gradient, step)
    assert torch.allclose(total, weight.detach(), rtol=1e-4)


def test_searches_do_not_share_adams_memory() -> None:
    gradient = torch.tensor([1.0, -2.0])
    first = adam_update()
    first(100 * gradient, 0)
    assert torch.allclose(adam_update()(gradient, 0), gradient.sign(), atol=1e-4)


class Unmoved(Linf):
    """Starts at the photo itself."""

    def start(self, share: float, generator: Generator) -> Tensor:
        return self.original


def test_a_step_is_its_share_of_the_bound() -> None:
    """One step of a quarter of eight levels."""
    search = GradientAttack(along(sign_update, share=0.25), steps=1, start=0.0)
    bound = Unmoved(photo(), LEVELS, torch.ones(1, 1, 1, 1))
    change = change_in_levels(search(nearness, photo(), bound, seeded()))
    assert torch.equal(change.abs().round(), torch.full_like(change, 2))
    assert torch.equal(change.sign(), -(photo() - 0.5).sign())


def test_fgsm_is_one_step_whatever_is_asked_for() -> None:
    steps: Steps = []
    attacks["fgsm"](50)(nearness, photo(), linf(), seeded(), lambda *step: steps.append(step))
    assert [step for step, *_ in steps] == [0, 1]


def test_momentum_adds_up_gradients_of_equal_size() -> None:
    update = momentum_update()
    assert update(torch.tensor([1.0, -3.0]), 0).tolist() == [1, -1]
    # 0.5, -1.5 and now 2, 0: the second is still remembered.
    assert update(torch.tensor([400.0, 0.0]), 1).tolist() == [1, -1]
    assert update(torch.tensor([0.0, 4e-6]), 2).tolist() == [1, 1]


def test_nesterov_counts_the_new_gradient_twice() -> None:
    plain, ahead = momentum_update(), nesterov_update()
    for update in (plain, ahead):
        update(torch.tensor([-1.0, 1.0]), 0)
    # Sums: -1 + 0.6 and 1 + 1.4; looking ahead: -1 + 2 * 0.6.
    assert plain(torch.tensor([0.6, 1.4]), 1).tolist() == [-1, 1]
    assert ahead(torch.tensor([0.6, 1.4]), 1).tolist() == [1, 1]


def test_apgd_checks_where_its_paper_says() -> None:
    assert checkpoints(100)[:6] == [22, 41, 57, 70, 80, 87]  # Croce and Hein 2020, section 3.2


def here(step: int, image: Tensor, gradient: Tensor, score: float) -> Here:
    """Where a search stands that no limit holds."""
    return Here(step, image, gradient, score, score, torch.full((1,), -1.0), lambda number: torch.zeros_like(image))


def test_apgd_halves_a_step_that_does_not_pay_and_returns_to_the_best() -> None:
    control, bound = StepControl(10), linf()
    assert control.checks[0] == 2
    best = here(0, photo(), torch.ones_like(photo()), score=1.0)
    worse = photo() + 3 / 255
    control(best, bound)
    control(here(1, worse, -torch.ones_like(photo()), score=0.5), bound)
    result = control(here(2, worse, -torch.ones_like(photo()), score=0.4), bound)
    assert control.share == 1.0
    # From the best along the best's own gradient.
    aim = bound.contain(photo() + bound.step(torch.ones_like(photo()), 1.0))
    assert torch.allclose(result, photo() + 0.75 * (aim - photo()))


def test_the_lagrangian_attack_forbids_more_in_every_round() -> None:
    weights = [rounds(10)(step, 1.0) for step in range(-1, 10)]
    assert weights == pytest.approx([0.01, 0.01, 0.1, 0.1, 1, 1, 10, 10, 100, 100, 100])


def test_the_universal_attack_is_the_start_and_asks_for_no_loss() -> None:
    """Rounded and inside, whatever steps say."""

    def loss(image: Tensor) -> Tensor:
        raise AssertionError("asked")

    change = torch.linspace(-1, 1, SIDE).expand(1, 3, SIDE, SIDE)
    bound = Begun(linf(), photo(), change)
    result = attacks["universal"](50)(loss, photo(), bound, seeded())
    assert torch.equal(result, round_to_levels((photo() + LEVELS / 255 * change).clamp(0, 1)))


# torchattacks


@pytest.mark.parametrize("name", sorted(COARSE))
def test_attacks_without_sharp_sight_climb_a_smooth_loss(name: str) -> None:
    """The left half lighter, the right half darker."""
    side, grey = 32, torch.full((1, 3, 32, 32), 0.5)
    grey = round_to_levels(grey)
    way = torch.ones(1, 1, 1, side)
    way[..., side // 2 :] = -1
    bound = Linf(grey, LEVELS, torch.ones(1, 1, 1, 1))

    def loss(image: Tensor) -> Tensor:
        return ((image - grey) * way).mean() * 255 / LEVELS * 0.9

    steps: Steps = []
    result = attacks[name](STEPS)(loss, grey, bound, seeded(), lambda *step: steps.append(step))
    assert loss(result).item() > 0.2  # two hundred squares come to 0.28, gradients to more
    assert loss(result).item() == pytest.approx(steps[-1][2], abs=1e-5)
    assert (255 * (result - grey)).abs().max() <= LEVELS + 1e-3


def test_every_attack_of_the_issue_is_there() -> None:
    names = "FGSM BIM PGD PGDL2 MIFGSM NIFGSM DIFGSM TIFGSM SINIFGSM VMIFGSM EOTPGD Square"
    assert {f"torchattacks:{name}" for name in names.split()} <= set(attacks)


def test_the_adapter_climbs_as_far_as_shields_own() -> None:
    """BIM and I-FGSM are one method: from the same start they reach the same."""
    reached = [nearness(attacks[name](STEPS)(nearness, photo(), linf(), seeded())).item() for name in ("ifgsm", "pgd")]
    bim = attacks["torchattacks:BIM"](STEPS)(nearness, photo(), linf(), seeded())
    assert nearness(bim).item() > min(reached) - 0.1


# With LPIPS


@pytest.mark.parametrize("name", ["adam", "ifgsm"])
def test_a_bound_on_lpips_holds_but_for_what_rounding_adds(
    name: str, portrait: NDArray[np.uint8], lpips_network: Lpips
) -> None:
    """The loss pulls to 40 levels off, where LPIPS is far beyond the bound. (The file is fitted to it later.)"""
    original = to_tensor(portrait[300:684:6, 340:724:6])
    goal = (original + 40 / 255 * torch.randn(original.shape, generator=seeded()).sign()).clamp(0, 1)
    measure = FaceLpips(lpips_network, original, whole_picture(64, 64), sizes=(64,))
    limit = 0.01
    assert measure(goal).item() > 5 * limit
    bound = Steered(Linf(original, 40, torch.ones(1, 1, 1, 1)), LpipsBound(original, limit, measure))
    scale = (goal - original).square().mean()

    def loss(image: Tensor) -> Tensor:
        return 1 - (image - goal).square().mean() / scale

    result = attacks[name](8)(loss, original, bound, seeded())
    assert loss(result).item() > 0.1
    assert 0.2 * limit < measure(result).item() < 1.1 * limit


def test_a_search_that_never_came_inside_still_ends_inside(portrait: NDArray[np.uint8], lpips_network: Lpips) -> None:
    """From a start at the whole of 40 levels, two steps are too few to come back within LPIPS."""
    original = to_tensor(portrait[300:684:6, 340:724:6])
    measure = FaceLpips(lpips_network, original, whole_picture(64, 64), sizes=(64,))
    limit = 0.005
    bound = Steered(Linf(original, 40, torch.ones(1, 1, 1, 1)), LpipsBound(original, limit, measure))
    judged = []

    def loss(image: Tensor) -> Tensor:
        judged.append(measure(image.detach()).item())
        return image.mean()

    result = attacks["pgd"](2)(loss, original, bound, seeded())
    assert min(judged) > 2 * limit
    assert 0 < measure(result).item() < 1.1 * limit
    assert torch.equal(result, round_to_levels(result))


# With a network


@pytest.mark.parametrize("name", ["adam", "ifgsm", "tangent"])
def test_breaks_stargan_on_a_small_photo_and_leaves_its_weights_alone(
    name: str, portrait: NDArray[np.uint8], portrait_face: Face, stargan: Surrogate
) -> None:
    assert isinstance(stargan, nn.Module)
    small = torch.nn.functional.interpolate(to_tensor(portrait), size=160, mode="bilinear", antialias=True)
    original, face = round_to_levels(small), portrait_face.scaled(160 / 1024)
    two = chosen(stargan, stargan.edits[1:3])
    targets, roads = [Target([two], [two])], [AsSaved()]
    loss = Disruption(original, face, targets, roads, output, random.Random(0), seeded(), Frames(0, 0, 0), 1)
    before = {key: value.clone() for key, value in stargan.state_dict().items()}
    steps: Steps = []
    bound = Linf(original, LEVELS, torch.ones(1, 1, 1, 1))
    result = attacks[name](12)(loss, original, bound, seeded(), lambda *step: steps.append(step))
    with torch.no_grad():
        distances = two.distance(*(two(crop_of(two, photo, face)) for photo in (result, original)))
    assert steps[-1][2] > steps[0][2] + 0.1
    assert float(distances.mean()) > 0.05
    assert all(torch.equal(value, before[key]) for key, value in stargan.state_dict().items())
    assert all(weight.grad is None for weight in stargan.parameters())


def crop_of(surrogate: Surrogate, photo: Tensor, face: Face) -> Tensor:
    return warp(photo, face, surrogate.size, surrogate.framing)
