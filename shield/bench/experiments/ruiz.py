"""The protocol of Ruiz et al. 2020, "Disrupting Deepfakes" (arXiv 2003.01279), on the editors that ship.

Attacks on the very pixels that the network takes, all values within 0.05 of [-1, 1], no regard to what is seen: FGSM,
I-FGSM and PGD on every network (l1, l2 and the share of pictures with l2 above 0.05); whether a change that was made
for one class holds for the others, beside one for all in turn and one for all at once; and whether it holds where the
tool blurs what it gets, beside searches that look through that blur or through a spread of blurs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from shield.attacks import attacks
from shield.bench.experiments.experiment import (
    Case,
    Experiment,
    Row,
    Setting,
    experiments,
    grouped,
    name_of,
    numbers,
    photos_of,
)
from shield.bounds import Limits, bounds
from shield.device import pick_device
from shield.faces import warp
from shield.objectives import l1, l2
from shield.photo import read, to_levels
from shield.surrogates import Surrogate, chosen, load_surrogate, surrogates
from shield.verify import find_faces

LEVELS = 6  # of 255: 0.05 of [-1, 1] is 6.4
STEPS = 20
PLAIN = ("fgsm", "ifgsm", "pgd")
CLASSES = ("one", "in turn", "all at once")
BLURS = (1.0, 1.5, 2.0, 2.5)  # px: sigmas of a spread
BLURRED = 1.5  # px: what the tool does
KNOWING = ("nothing", "that blur", "a spread of blurs")
Blur = Callable[[Tensor], Tensor]


def blur(crops: Tensor, sigma: float) -> Tensor:
    """Crops (N, 3, s, s), blurred."""
    size = 2 * round(3 * sigma) + 1
    blurred: Tensor = gaussian_blur2d(crops, (size, size), (sigma, sigma), border_type="reflect")
    return blurred


def unblurred(crops: Tensor) -> Tensor:
    """Crops as they are."""
    return crops


@dataclass
class Distance:
    """A loss: l2 from the clean result, of the next of ``parts`` through the next of ``blurs`` at every call."""

    clean: Tensor
    parts: Iterator[Surrogate]
    blurs: Iterator[Blur]

    def __call__(self, crop: Tensor) -> Tensor:
        part, sent = next(self.parts), next(self.blurs)
        with torch.no_grad():
            before = part(sent(self.clean))
        return l2(part(sent(crop)), before).mean()


def attacked(crop: Tensor, attack: str, parts: Sequence[Surrogate], blurs: Sequence[Blur], seed: int) -> Tensor:
    """The crop (1, 3, s, s) in [0, 1], changed within the bound so that the parts break."""
    bound = bounds["linf"](crop, Limits(LEVELS, torch.ones_like(crop[:, :1])))
    loss = Distance(crop, cycle(parts), cycle(blurs))
    return attacks[attack](STEPS)(loss, crop, bound, torch.Generator().manual_seed(seed))


@torch.no_grad()
def measured(whole: Surrogate, clean: Tensor, changed: Tensor, sent: Blur = unblurred) -> list[Row]:
    """What becomes of every edit, a row each."""
    results, before = whole(sent(changed)), whole(sent(clean))
    rows = zip(whole.edits, l1(results, before)[0].tolist(), l2(results, before)[0].tolist(), strict=True)
    return [{"edit": edit, "l1": one, "l2": two, "disrupted": two > whole.threshold} for edit, one, two in rows]


class Ruiz(Experiment):
    """See above."""

    title = "Attacks on the pixels that a network takes, classes and blur"
    paper = "Ruiz et al. 2020, Disrupting Deepfakes, arXiv 2003.01279"
    # Of its tables only what its text says of StarGAN could be read here: every picture is disrupted.
    published: Sequence[Row] = tuple(
        {"what": "attack", "network": "stargan", "way": way, "disrupted": 1.0} for way in ("ifgsm", "pgd")
    )

    def cases(self, setting: Setting) -> Iterator[Case]:
        for photo in photos_of(setting):
            for name in surrogates:
                if load_surrogate(name, pick_device(setting.recipe.device)).makes_pictures:
                    yield Case(f"{name_of(photo)} {name}", partial(self.measure, photo, name, setting), [photo])

    def measure(self, photo: Path, name: str, setting: Setting) -> list[Row]:
        """Every part of the protocol, of one photo and one network."""
        recipe = setting.recipe
        whole, pixels = load_surrogate(name, pick_device(recipe.device)), read(photo).pixels
        crop = warp(to_levels(pixels), find_faces(pixels)[0], whole.size, whole.framing).to(pick_device(recipe.device))
        rows = list[Row]()

        def add(what: str, way: str, changed: Tensor, sent: Blur = unblurred, made_for: str | None = None) -> None:
            first = {"photo": name_of(photo), "network": name, "what": what, "way": way}
            found = measured(whole, crop, changed, sent)
            rows.extend(first | dict(row) for row in found if row["edit"] != made_for)

        for attack in PLAIN:
            add("attack", attack, attacked(crop, attack, [whole], [unblurred], recipe.seed))
        parts = [chosen(whole, [edit]) for edit in whole.edits]
        if len(parts) > 1:
            for way, asked in zip(CLASSES, (parts[:1], parts, [whole]), strict=True):
                # Of a change that was made for one class only the others say whether it transfers.
                made_for = parts[0].edits[0] if way == "one" else None
                add("class", way, attacked(crop, "ifgsm", asked, [unblurred], recipe.seed), made_for=made_for)
        tool: Blur = partial(blur, sigma=BLURRED)
        spread: list[Blur] = [unblurred, *(partial(blur, sigma=sigma) for sigma in BLURS)]
        looks: list[list[Blur]] = [[unblurred], [tool], spread]
        for way, blurs in zip(KNOWING, looks, strict=True):
            add("blur", way, attacked(crop, "ifgsm", [whole], blurs, recipe.seed), tool)
        return rows

    def table(self, rows: Sequence[Row]) -> list[Row]:
        return [
            {"what": what, "network": network, "way": way}
            | {measure: sum(own) / len(own) for measure in ("l1", "l2", "disrupted") if (own := numbers(part, measure))}
            | {"pictures": len(part)}
            for (what, network, way), part in grouped(rows, "what", "network", "way").items()
        ]


experiments.register("ruiz")(Ruiz())
