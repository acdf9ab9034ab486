"""The manipulators of models/: trained for shield, in the published layouts."""

import torch

from shield.surrogates.published.conditions import Edits
from shield.surrogates.published.family import Editor, Family, fit
from shield.weights import load_tensors, manifest


def shipped(name: str, family: Family, edits: Edits, device: torch.device) -> Editor:
    """The model of that name, asked for shield's own ``edits``.

    Raises WeightsError where the file is missing, altered, or does not fit the network exactly.
    """
    entry = manifest()[name]
    network = fit(family, load_tensors(name), entry.file).network
    return Editor(name, entry.licence, family.framing, network, edits, entry.size).to(device)
