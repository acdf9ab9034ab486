"""How good a manipulator is, judged by networks that its training never saw.

The attribute network (trained on CelebA alone), the landmarks and the recogniser look at what the manipulator makes of
test faces and of portraits. Only faces that are not yet what is asked for count.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from shield.errors import InputError
from shield.faces import detect, warp, whole_picture
from shield.faces.attributes import ATTRIBUTES, AttributeNet, described, load_attributes
from shield.faces.expression import MEASURES, NOTICEABLE, conditions
from shield.faces.landmarks import load_landmarks, portrait_landmarks
from shield.faces.masks import Move
from shield.lpips import load_lpips
from shield.photo import read, to_tensor
from shield.surrogates import cyclegan, ganimation, load_surrogate, stargan
from shield.surrogates.published import Editor, spade
from shield.torch_state import own_torch_state
from shield.training.data import SOURCES, FaceSet, load_faces

SIZE = 128  # px: of the faces that are judged
BATCH = 16
HAIR = 3
COLOURS = [ATTRIBUTES.index(name) for name in ("Black_Hair", "Blond_Hair", "Brown_Hair")]
MALE, YOUNG = ATTRIBUTES.index("Male"), ATTRIBUTES.index("Young")
JUDGE = "attributes"
RECOGNISER, SAME_PERSON = "dlib", 0.6  # its authors' distance below which two faces are one person's
CPU = torch.device("cpu")

Edit = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Quality:
    """One figure: of ``model``, on the faces of ``faces``; ``before`` is the same of the unedited faces (a control).

    ``count``: how many faces, or faces times measures, it is the mean over.
    """

    model: str
    faces: str
    what: str
    value: float
    before: float | None
    count: int


@dataclass(frozen=True)
class Question:
    """Faces (N, 3, s, s) in [0, 1] asked for something.

    ``edited``: what a manipulator makes of them; ``returned``: of that, asked for what they were; both as ``faces``.
    None where it cannot be asked that. ``fulfilled``: faces before and after to yes or no, (N,) or a longer list.
    """

    name: str
    faces: Tensor
    edited: Edit
    returned: Edit | None
    fulfilled: Callable[[Tensor, Tensor], Tensor]


@own_torch_state()
@torch.no_grad()
def evaluate_models(
    names: Sequence[str],
    data: str | Path,
    photos: str | Path | None = None,
    count: int = 300,
) -> list[Quality]:
    """Judge the manipulators ``names`` side by side, on ``count`` faces of the test split in ``data``.

    And on every photo in the folder ``photos``, where given. The faces are the same for every model and every run. The
    name "attributes" stands for the judge itself, by which every test face is read.
    Raises RecipeError for an unknown name, InputError for a surrogate of another kind or where faces are missing.
    """
    models = [_editor(name) for name in names if name != JUDGE]
    test = load_faces(Path(data), "test", SIZE)
    figures = _accuracy(test) if JUDGE in names else []
    rows = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:count]
    sets = {"test": (test.faces[rows].float() / 255, test.columns(*ATTRIBUTES)[rows])}
    if photos is not None:
        framed = _framed(Path(photos))
        sets["portraits"] = framed, (load_attributes()(framed) > 0).float()  # nobody labelled them
    for title, (faces, labels) in sets.items():
        for model in models:
            figures += _judged(model, title, faces, labels)
    return figures


def _accuracy(test: FaceSet) -> list[Quality]:
    """How often the attribute network is right, by source; beside it, how often the commoner answer is."""
    right = (_read(test.faces.float() / 255) > 0) == (test.columns(*ATTRIBUTES) > 0)
    figures = []
    for number in test.source.unique().tolist():
        rows = test.source == number
        positive = test.columns(*ATTRIBUTES)[rows].mean(0)
        for column, name in enumerate(ATTRIBUTES):
            share = float(positive[column])
            value = float(right[rows, column].float().mean())
            figures.append(
                Quality(JUDGE, SOURCES[number], f"{name} right", value, max(share, 1 - share), int(rows.sum()))
            )
    return figures


def _editor(name: str) -> Editor:
    editor = load_surrogate(name, CPU)
    if not isinstance(editor, Editor) or editor.edits not in QUESTIONS:
        raise InputError(f"{name!r} cannot be evaluated: there are judges for the manipulators of models/ only.")
    return editor


def _framed(folder: Path) -> Tensor:
    """The largest face of every photo of the folder, in portrait framing."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name one with photos.")
    crops = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
            pixels = read(path).pixels
            crops += [warp(to_tensor(pixels), face, SIZE) for face in detect(pixels)[:1]]
    if not crops:
        raise InputError(f"{folder} holds no JPEG or PNG photo with a face.")
    return torch.cat(crops)


def _judged(model: Editor, title: str, faces: Tensor, labels: Tensor) -> Iterator[Quality]:
    real, made, back = _features(faces), [], []
    for question in QUESTIONS[model.edits](model, faces, labels):
        if len(question.faces) == 0:  # every face is that already
            continue
        before = question.faces
        after = question.edited(before)
        made.append(_features(after))
        yes, already = question.fulfilled(before, after).float(), question.fulfilled(before, before).float()
        yield Quality(model.name, title, f"{question.name}: read", float(yes.mean()), float(already.mean()), len(yes))
        same = _embedded(before, after) < SAME_PERSON
        yield Quality(model.name, title, f"{question.name}: same person", float(same.float().mean()), None, len(same))
        if question.returned:
            back.append((question.returned(after) - before).abs().mean((1, 2, 3)) * 2)  # on [-1, 1]
    if back:
        lost = torch.cat(back)
        yield Quality(model.name, title, "l1 of the way back", float(lost.mean()), None, len(lost))
    if (half := len(real) // 2) > 1:  # a Gaussian through fewer faces says nothing
        control = frechet(real[:half], real[half:])
        edited = torch.cat(made)
        yield Quality(model.name, title, "Frechet distance", frechet(real, edited), control, len(edited))


def _conditioned(model: Editor, vectors: Tensor) -> Edit:
    """What the network makes of faces by conditions (N, C)."""

    def edit(faces: Tensor) -> Tensor:
        batches = zip(faces.split(BATCH), vectors.split(BATCH), strict=True)
        results = [_at(model.network(2 * _at(part, model.size) - 1, v), SIZE) for part, v in batches]
        return (torch.cat(results) + 1) / 2

    return edit


def _at(faces: Tensor, side: int) -> Tensor:
    return F.interpolate(faces, size=(side, side), mode="bilinear", antialias=True)


def _embedded(before: Tensor, after: Tensor) -> Tensor:
    """The recogniser's distances (N,) between two faces."""
    recogniser, frame = load_surrogate(RECOGNISER, CPU), whole_picture(SIZE, SIZE)
    parts = [
        torch.cat([recogniser(warp(part, frame, recogniser.size, recogniser.framing)) for part in faces.split(BATCH)])
        for faces in (before, after)
    ]
    distances: Tensor = torch.linalg.vector_norm(parts[0] - parts[1], dim=2)
    return distances[:, 0]


# What to ask


def _read(faces: Tensor) -> Tensor:
    """The attribute network's logits (N, 8)."""
    network: AttributeNet = load_attributes()
    return torch.cat([network(part) for part in faces.split(BATCH)])


def _is(word: str) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda before, after: described(_read(after), word)


def _about_attributes(model: Editor, faces: Tensor, labels: Tensor) -> Iterator[Question]:
    own = labels[:, [*COLOURS, MALE, YOUNG]]
    for colour, attribute in enumerate(COLOURS):
        rows = labels[:, attribute] == 0
        asked = own[rows].clone()
        asked[:, :HAIR] = F.one_hot(torch.tensor(colour), HAIR).float()
        name = ATTRIBUTES[attribute].lower().replace("_", " ")
        yield Question(name, faces[rows], _conditioned(model, asked), _conditioned(model, own[rows]), _is(name))
    for column, attribute, names in ((HAIR, MALE, ("female", "male")), (HAIR + 1, YOUNG, ("old", "young"))):
        for wanted, name in enumerate(names):
            rows = labels[:, attribute] != wanted
            asked = own[rows].clone()
            asked[:, column] = wanted
            yield Question(name, faces[rows], _conditioned(model, asked), _conditioned(model, own[rows]), _is(name))


def _about_sex(model: Editor, faces: Tensor, labels: Tensor) -> Iterator[Question]:
    for wanted, (name, vector) in enumerate(cyclegan.EDITS.items()):
        rows = labels[:, MALE] != wanted
        asked = torch.tensor(vector, dtype=torch.float32).expand(int(rows.sum()), -1)
        yield Question(name, faces[rows], _conditioned(model, asked), _conditioned(model, 1 - asked), _is(name))


def _measured(faces: Tensor) -> Tensor:
    """The expressions (N, 4) of faces in portrait framing."""
    network = load_landmarks()
    return conditions(torch.cat([portrait_landmarks(network, part) for part in faces.split(BATCH)]))


def _moved(target: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Whether every measure that had to move to get to ``target`` has moved that way, one answer each."""
    return _gone(lambda measures: target - measures)


def _gone(asked: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Whether every measure that was asked to move noticeably has moved that way, one answer each.

    ``asked``: how far measures (N, 4) are to move.
    """

    def answers(before: Tensor, after: Tensor) -> Tensor:
        was = _measured(before)
        way = asked(was)
        return ((_measured(after) - was) * way > 0)[way.abs() >= NOTICEABLE]

    return answers


def _about_expressions(model: Editor, faces: Tensor, labels: Tensor) -> Iterator[Question]:
    own = _conditioned(model, _measured(faces))
    for name, vector in ganimation.EDITS.items():
        target = torch.tensor(vector)
        asked = _conditioned(model, target.expand(len(faces), len(MEASURES)))
        yield Question(name, faces, asked, own, _moved(target))


def _about_paintings(model: Editor, faces: Tensor, labels: Tensor) -> Iterator[Question]:
    for name, vector in spade.EDITS.items():
        asked = _conditioned(model, torch.tensor(vector).expand(len(faces), -1))
        way = torch.tensor(Move(*vector).conditions)
        yield Question(name, faces, asked, None, _gone(way.expand_as))


QUESTIONS: dict[tuple[str, ...], Callable[[Editor, Tensor, Tensor], Iterator[Question]]] = {
    tuple(stargan.EDITS): _about_attributes,
    tuple(ganimation.EDITS): _about_expressions,
    tuple(cyclegan.EDITS): _about_sex,
    tuple(spade.EDITS): _about_paintings,
}


# Frechet distance


def _features(faces: Tensor) -> Tensor:
    """The last features of AlexNet's trunk, averaged over the picture: (N, 256), float64."""
    network = load_lpips(CPU)
    last = [[*network.features(part)][-1] for part in faces.split(BATCH)]
    return torch.cat([layer.mean((2, 3)) for layer in last]).double()


def frechet(one: Tensor, other: Tensor) -> float:
    """The Frechet distance between two sets of features (N, D), each taken as a Gaussian (Heusel et al. 2017)."""
    gap = (one.mean(0) - other.mean(0)).square().sum()
    first, second = one.T.cov(), other.T.cov()
    values, vectors = torch.linalg.eigh(first)
    root = vectors @ (values.clamp(min=0).sqrt()[:, None] * vectors.T)
    cross = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    return float(gap + first.trace() + second.trace() - 2 * cross)
