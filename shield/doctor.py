"""Does this installation work? What is here, whether the weights are whole, and a search of a few steps."""

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

import torch

from shield.channels import AS_SAVED
from shield.device import computes_bfloat16
from shield.faces.sampling import cut
from shield.photo import decode, encode, from_array
from shield.pipeline import protect
from shield.privacy import TELEMETRY_OFF
from shield.recipe import Recipe
from shield.surrogates import judges, load_surrogate
from shield.swap import donor, donors
from shield.verify import HELD, Plan, versions
from shield.weights import check_weights, imported_models, manifest, user_models_folder

PAGE = "gradio"
STEPS = 5  # of the search that is tried
BRIEF = Plan(surrogates=(), channels=(AS_SAVED,), frames=(HELD,), controls=(), donors=())


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and whether that is as it should be."""

    about: str
    says: str
    well: bool = True


def examine() -> Iterator[Finding]:
    """One finding after the other; the last ones take some seconds. Raises nothing: what fails is a finding."""
    for about, look in LOOKS.items():
        try:
            yield look(about)
        except Exception as error:  # whatever is broken here is what was asked for
            yield Finding(about, str(error), well=False)


def _versions(about: str) -> Finding:
    return Finding(about, ", ".join(f"{name} {number}" for name, number in versions().items()))


def _page(about: str) -> Finding:
    try:
        return Finding(about, f"{PAGE} {version(PAGE)}")
    except PackageNotFoundError:
        return Finding(about, "not installed; the page needs pip install 'shield[page]', all else works without")


def _processor(about: str) -> Finding:
    fast = "computes in bfloat16" if computes_bfloat16(torch.device("cpu")) else "no bfloat16, so searches take longer"
    return Finding(about, f"{platform.machine()}, {torch.get_num_threads()} threads of {os.cpu_count()}; {fast}")


def _devices(about: str) -> Finding:
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps (taken where --device mps names it)")
    return Finding(about, ", ".join(names) or "none; all runs on the processor")


def _weights(about: str) -> Finding:
    entries = manifest()
    return _checked(about, entries, f"{len(entries)} networks, every byte as it should be")


def _imported(about: str) -> Finding:
    entries = imported_models()
    return _checked(about, entries, f"{', '.join(entries) or 'none'} (in {user_models_folder()})")


def _checked(about: str, names: Iterable[str], whole: str) -> Finding:
    """What is wrong with the files of these models, or the words for nothing."""
    wrong = [sentence for name in names if (sentence := check_weights(name)) is not None]
    return Finding(about, " ".join(wrong) or whole, well=not wrong)


def _privacy(about: str) -> Finding:
    on = [name for name, value in TELEMETRY_OFF.items() if os.environ.get(name) != value]
    if on:
        return Finding(about, f"telemetry is on: {', '.join(on)} were changed after shield was imported", well=False)
    return Finding(about, "telemetry of all dependencies is off; photos stay on this machine")


def _recognition(about: str) -> Finding:
    """The judge has to know a face again after JPEG, and to tell another one from it."""
    (name, *_), (one, other, *_) = judges, donors
    judge = load_surrogate(name, torch.device("cpu"))
    canvas = donor(one)
    again = decode(encode(from_array(canvas.pixels), "jpeg", quality=75)).pixels
    faces = (canvas.pixels, canvas.face), (again, canvas.face), (donor(other).pixels, donor(other).face)
    seen = [judge(cut(pixels, face, judge.size, judge.framing)) for pixels, face in faces]
    near, far = (float(judge.distance(other, seen[0])) / judge.threshold for other in seen[1:])
    says = f"{name} finds a face {near:.2f} lines from itself after JPEG 75, and {far:.2f} from another person's"
    return Finding(about, says, well=near < 1 < far)


def _search(about: str) -> Finding:
    """A few steps on a face that ships, and from these how long a default search takes."""
    times = list[float]()
    recipe = replace(Recipe(), steps=STEPS, format="png")
    pixels = donors[next(iter(donors))]
    report = protect(pixels, recipe, lambda *_: times.append(time.perf_counter()), plan=BRIEF).report
    if not report.bound_kept:
        return Finding(about, "the saved file exceeds the bounds", well=False)
    seconds = (times[-1] - times[-STEPS]) / (STEPS - 1) * Recipe().steps  # the first step waits for the networks
    return Finding(about, f"works; a default search takes about {seconds:.0f} s a face here")


LOOKS: dict[str, Callable[[str], Finding]] = {
    "versions": _versions,
    "page": _page,
    "processor": _processor,
    "accelerators": _devices,
    "models": _weights,
    "your models": _imported,
    "privacy": _privacy,
    "recognition": _recognition,
    "search": _search,
}
