"""StarGANs that were trained to withstand protection (Ruiz et al. 2020, section 4.3): what a prepared adversary runs.

They are no surrogates: no search works on them, and verification runs them only where it is asked for adversaries. Each
is here as soon as models/ holds its weights, in models/NAME.safetensors with an entry in the manifest.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from shield.surrogates.published.stargan import STARGAN
from shield.surrogates.shipped import shipped
from shield.surrogates.stargan import EDITS
from shield.surrogates.surrogate import Loader, hardened
from shield.weights import manifest


def hardened_name(name: str, way: str) -> str:
    """What a manipulator hardened in a ``way`` ("g" or "gd", see ``shield.training.hardening``) is called."""
    return f"{name}-hardened-{way}"


class HardenedStarGANs(Mapping[str, Loader]):
    """Those that models/ holds, as loaders, as its manifest says at every access."""

    def __getitem__(self, name: str) -> Loader:
        if name not in set(self):
            raise KeyError(name)
        return partial(shipped, name, STARGAN, EDITS)

    def __iter__(self) -> Iterator[str]:
        return (name for name in manifest() if name.startswith(hardened_name("stargan", "")))

    def __len__(self) -> int:
        return len(list(iter(self)))


hardened.follow(HardenedStarGANs())
