"""A face recogniser as a surrogate: a face swap or a search that reads the photo must not find the person in it.

Deng et al. 2019, "ArcFace" (arXiv 1801.07698), and its relatives: a face in a template's frame becomes an embedding,
and two embeddings that lie near each other are one person's.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shield.errors import InputError
from shield.faces.templates import templates
from shield.objectives import squared_distance
from shield.surrogates.recognisers.dlib import RecogniserNet
from shield.surrogates.recognisers.facenet import FaceNet
from shield.surrogates.recognisers.graph import module_of
from shield.surrogates.recognisers.heads import READING, SIZE
from shield.surrogates.recognisers.iresnet import IResNet
from shield.surrogates.recognisers.transformer import FaceTransformer
from shield.surrogates.surrogate import judges, surrogates
from shield.weights import Reading, WeightsEntry, load_network, manifest, read_weights

ONNX = ".onnx"
RECOGNISE = "recognise"
RECOGNISERS = ("dlib", "mobilefacenet", "fr_feature")
JUDGE = "sface"  # whose word counts where one is needed: of a usable deepfake's person, of a face swap's
OTHER_JUDGE = "facenet"  # of another architecture, taught by other faces
STUDENTS: dict[str, Callable[[], nn.Module]] = {"iresnet": IResNet, "transformer": FaceTransformer}
# The networks whose files hold tensors alone; any other file holds its network as well.
NETWORKS: dict[str, Callable[[], nn.Module]] = {"dlib": RecogniserNet, OTHER_JUDGE: FaceNet, **STUDENTS}


class Recogniser(nn.Module):
    """Faces (N, 3, size, size) in [0, 1] to embeddings (N, 1, D); ``network`` takes what ``reading`` says.

    Distances are squared: their gradient is defined at 0. Of embeddings of length 1 they are 2 - 2 cosine. Beyond
    ``threshold`` the person is no longer known.
    """

    edits: tuple[str, ...] = (RECOGNISE,)
    makes_pictures = False

    def __init__(self, name: str, licence: str, size: int, network: nn.Module, reading: Reading) -> None:
        super().__init__()
        self.name, self.licence, self.size, self.network, self.reading = name, licence, size, network, reading
        self.framing, self.threshold = templates[reading.template], reading.same

    def forward(self, faces: Tensor) -> Tensor:
        given = (255 * faces - self.reading.mean) / self.reading.scale
        if self.reading.order == "bgr":
            given = given.flip(1)
        embeddings: Tensor = self.network(given).flatten(1)
        return (F.normalize(embeddings, dim=1) if self.reading.unit else embeddings)[:, None]

    def distance(self, results: Tensor, clean: Tensor) -> Tensor:
        return squared_distance(results, clean)


def load_recogniser(entry: WeightsEntry, device: torch.device) -> Recogniser:
    """The recogniser of a manifest's entry.

    Raises WeightsError where its file is missing, altered or does not fit, InputError where torch cannot run it.
    """
    if entry.file.endswith(ONNX):
        network = module_of(read_weights(entry.name))
    else:
        network = load_network(NETWORKS[entry.name], entry.name, "the recogniser")
    return recogniser_of(entry, network).to(device)


def student_of(name: str, tensors: Mapping[str, Tensor]) -> Recogniser:
    """A student with the weights of a training, whose line is not drawn yet: it holds half of all persons for one.

    Raises InputError where there is no such student or the tensors are another network's.
    """
    if name not in STUDENTS:
        raise InputError(f"There is no student named {name!r}; choose {' or '.join(STUDENTS)}.")
    network = STUDENTS[name]()
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"The weights are not those of the student {name!r} ({error}).") from error
    return Recogniser(name, "not shipped", SIZE, network.requires_grad_(False), READING).eval()


def recogniser_of(entry: WeightsEntry, network: nn.Module) -> Recogniser:
    """A network as the recogniser of a manifest's entry. Raises ValueError for an entry of something else."""
    if entry.reading is None:
        raise ValueError(f"{entry.name} is no recogniser")
    return Recogniser(entry.name, entry.licence, entry.size, network, entry.reading).eval()


def _shipped(name: str, device: torch.device) -> Recogniser:
    return load_recogniser(manifest()[name], device)


for _name in (*RECOGNISERS, *STUDENTS):
    surrogates.register(_name)(partial(_shipped, _name))
for _name in (JUDGE, OTHER_JUDGE):
    judges.register(_name)(partial(_shipped, _name))
