"""What a surrogate from outside shield has to keep of the contract, tried on two faces when it enters."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from shield.errors import InputError
from shield.faces import Template
from shield.surrogates.surrogate import Surrogate, check_attributes

FACES = 2  # so that the axis of the faces cannot be taken for that of the edits


def check_promises(name: str, surrogate: Surrogate, device: torch.device) -> None:
    """Run the surrogate once, forward and backward.

    Raises InputError, which names it and says what was expected and what was found: settings of another kind, results
    that are no tensor, of another shape (edits, axes, size) or no finite numbers, or no gradient from them to the face.
    """
    check_attributes(name, surrogate)
    _check_settings(name, surrogate)
    shape = FACES, 3, surrogate.size, surrogate.size
    faces = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32).to(device)
    with torch.inference_mode(False), torch.enable_grad():
        with torch.no_grad():
            clean = _tried(name, f"on faces {shape}", lambda: surrogate(1 - faces))
        leaf = faces.clone().requires_grad_(True)
        results = _tried(name, f"on faces {shape}", lambda: surrogate(leaf))
        _check_numbers(name, "results", results, _shape(surrogate, results))
        distances = _tried(name, "in its distance", lambda: surrogate.distance(results, clean))
        _check_numbers(name, "distances", distances, (FACES, len(surrogate.edits)))
        (gradient,) = torch.autograd.grad(distances.sum(), leaf, allow_unused=True)
    if gradient is None or not gradient.isfinite().all() or not gradient.count_nonzero():
        found = "none" if gradient is None else "zeros" if gradient.isfinite().all() else "values that are no numbers"
        raise _complaint(name, "a gradient from its distances to the faces", found)


def _check_settings(name: str, surrogate: Surrogate) -> None:
    edits: Any = surrogate.edits
    kinds: tuple[tuple[bool, str, object], ...] = (
        (type(surrogate.size) is int and surrogate.size > 0, "a size in px", surrogate.size),
        (isinstance(surrogate.framing, Template), "a shield.Framing or a template as framing", surrogate.framing),
        (
            isinstance(edits, tuple) and len(edits) > 0 and all(isinstance(edit, str) for edit in edits),
            "a tuple of names as edits",
            edits,
        ),
        (
            isinstance(surrogate.threshold, (int, float)) and 0 < surrogate.threshold < math.inf,
            "a threshold above 0",
            surrogate.threshold,
        ),
    )
    for ok, expected, found in kinds:
        if not ok:
            raise _complaint(name, expected, repr(found))


def _tried(name: str, where: str, call: Callable[[], Tensor]) -> Tensor:
    try:
        return call()
    except Exception as error:  # whatever goes wrong in another's network
        raise InputError(f"The surrogate {name!r} fails {where} ({type(error).__name__}: {error}); mend it.") from error


def _shape(surrogate: Surrogate, results: Any) -> tuple[int, ...]:
    """What the results' shape should be; embeddings may be as long as they like."""
    if surrogate.makes_pictures:
        return FACES, len(surrogate.edits), 3, surrogate.size, surrogate.size
    length = results.shape[-1] if getattr(results, "ndim", 0) == 3 else 1
    return FACES, len(surrogate.edits), length


def _check_numbers(name: str, what: str, values: Any, shape: tuple[int, ...]) -> None:
    kind = f"{what} as a float tensor {shape}"
    if not isinstance(values, Tensor):
        raise _complaint(name, kind, f"{type(values).__module__}.{type(values).__name__}")
    if not values.is_floating_point() or tuple(values.shape) != shape:
        raise _complaint(name, kind, f"{values.dtype} {tuple(values.shape)}")
    if not values.isfinite().all():
        raise _complaint(name, f"{what} that are numbers", "some that are none")
    if not values.requires_grad:
        raise _complaint(name, f"{what} with a gradient", f"{what} detached from the faces (detach, no_grad, NumPy)")


def _complaint(name: str, expected: str, found: str) -> InputError:
    return InputError(f"The surrogate {name!r} should have {expected}, and has {found}; see shield.Surrogate.")
