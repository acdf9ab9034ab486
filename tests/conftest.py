"""What every test may use: the portrait, the processor, the networks of models/ loaded once, shared/ where it is."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from shield.faces import Face, detect
from shield.lpips import Lpips, load_lpips
from shield.photo import Photo, read
from shield.surrogates import Surrogate, load_surrogate, surrogate
from shield.verify import PLAN, Plan, verification

# One thread whatever the machine: sums keep their order, and with it their last bit, and the small tensors of most
# tests are done long before threads on a busy machine have found one another.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Again after every test: benchmarks set as many as they are told, for their whole process."""
    yield
    torch.set_num_threads(1)


# The models that whoever runs the tests has imported stay out of them: a folder that is not there.
os.environ["SHIELD_MODELS"] = str(Path(__file__).with_name("no-models"))


@pytest.fixture(autouse=True, scope="session")
def no_swaps() -> Iterator[None]:
    """Reports without face swaps, which take seconds each: tests of these put a network there themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "shipped_swap", lambda device: None)
        yield


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The top of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the checkout that holds data and weights for development."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not on this machine")
    return folder


@pytest.fixture(scope="session")
def portrait_photo(checkout: Path) -> Photo:
    """examples/portrait.jpg, 1024 x 1024, its pixels read-only; its one face is 438 px high."""
    photo = read(checkout / "examples" / "portrait.jpg")
    photo.pixels.flags.writeable = False
    return photo


@pytest.fixture(scope="session")
def portrait(portrait_photo: Photo) -> NDArray[np.uint8]:
    """Its pixels, (1024, 1024, 3)."""
    return portrait_photo.pixels


@pytest.fixture(scope="session")
def portrait_face(portrait: NDArray[np.uint8]) -> Face:
    """The face of the portrait; the side of its portrait framing is 667 px."""
    return detect(portrait)[0]


@pytest.fixture(scope="session")
def small(portrait: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The portrait at 320 x 320, small enough to protect in seconds: its face crop is about 210 px wide."""
    return np.asarray(Image.fromarray(portrait).resize((320, 320), Image.Resampling.LANCZOS))


@pytest.fixture
def photo(tmp_path: Path, small: NDArray[np.uint8]) -> Path:
    """The same as a file of its own, me.jpg."""
    path = tmp_path / "me.jpg"
    Image.fromarray(small).save(path, quality=95)
    return path


@pytest.fixture(scope="session")
def brief() -> Plan:
    """Verification by two networks after two channels in few frames, for tests of what comes before and after it."""
    return Plan(surrogates=("stargan", "dlib"), channels=("none", "jpeg75"), held=2, few=1, found=())


@pytest.fixture(scope="module")
def briefly(brief: Plan) -> Iterator[None]:
    """The same wherever nobody names a plan, as front ends do not."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in vars(brief).items():
            patch.setitem(vars(PLAN), name, value)
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's model folder, not there yet."""
    folder = tmp_path / "home" / "models"
    monkeypatch.setenv("SHIELD_MODELS", str(folder))
    monkeypatch.setattr(surrogate, "_loaded", {})
    return folder


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cpu")


@pytest.fixture(scope="session")
def lpips_network(device: torch.device) -> Lpips:
    return load_lpips(device)


@pytest.fixture(scope="session")
def stargan(device: torch.device) -> Surrogate:
    return load_surrogate("stargan", device)
