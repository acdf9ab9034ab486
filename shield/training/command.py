"""What ``shield train`` does: data from the archives, a recipe by name, the loop."""

from pathlib import Path

import torch

from shield.device import pick_device
from shield.errors import InputError
from shield.surrogates import hardened_name
from shield.torch_state import own_torch_state
from shield.training.data import SOURCES, FaceSet, load_faces
from shield.training.loop import Report, recipes, train

PROCESSOR = "cpu"
SAMPLES = 4  # test faces of each source on the sample sheet


@own_torch_state()
def train_model(
    name: str,
    data: str | Path,
    out: str | Path,
    *,
    resume: bool = False,
    weights: str | Path | None = None,
    hours: float | None = None,
    hardening: str | None = None,
    device: str = PROCESSOR,
    report: Report | None = None,
) -> int:
    """Train the recipe ``name`` on the face archives in ``data``; returns the step reached.

    ``out`` receives checkpoint, sample sheet and weights every few minutes; ``resume`` goes on from the checkpoint.
    ``weights``: a trained network's (safetensors) to begin with instead of random ones. ``hardening``: "g" or "gd"
    takes the recipe's hardened variant, NAME-hardened-g or NAME-hardened-gd. ``device``: a torch device, "auto" or the
    processor.
    ``report`` is called with (step, steps, losses, seconds left). Raises RecipeError on an unknown recipe or on a
    device that it cannot train on, InputError where there are no archives or where ``out`` holds another training's
    checkpoint.
    """
    recipe, out = recipes[hardened_name(name, hardening) if hardening else name], Path(out)
    if not resume and (out / "checkpoint.pt").exists():
        raise InputError(f"{out} holds a checkpoint already; go on from it with --resume or choose another folder.")
    training = recipe(load_faces(Path(data), "train"), pick_device(device))
    samples = _samples(load_faces(Path(data), "test"))
    return train(training, out, samples, resume, None if weights is None else Path(weights), hours, report=report)


def _samples(faces: FaceSet) -> torch.Tensor:
    rows = torch.cat([(faces.source == source).nonzero().flatten()[:SAMPLES] for source in range(len(SOURCES))])
    return faces.faces[rows].float() / 127.5 - 1
