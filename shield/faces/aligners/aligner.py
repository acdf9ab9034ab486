"""What an aligner is: whatever says where the faces of a photo lie, and where their eyes, noses and mouths are."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shield.faces.face import Face
from shield.registry import Registry

Pixels: TypeAlias = NDArray[np.uint8]

# An upright RGB photo (H, W, 3) to its faces of 40 px or more, largest first, each with this aligner's name and score
# in [0, 1]. The points are (x, y) in px, of which the first one's centre is (0.5, 0.5); see ``Face``.
Aligner: TypeAlias = Callable[[Pixels], list[Face]]

aligners: Registry[Aligner] = Registry("aligner")
