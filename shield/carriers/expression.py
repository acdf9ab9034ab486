"""What a warp leaves as it is: the expression, which anybody reads at once.

A flow that is free draws brows together or apart, since a recogniser minds, and a smile becomes a frown. Held is what
muscles move (Ekman and Friesen 1978, "Facial Action Coding System"): parts of the face beside others, by landmarks
numbered as in iBUG 300-W. Where the features lie, their sizes and the outline stay free: a recogniser goes by those.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

LEFT_EYE, RIGHT_EYE, MOUTH = range(36, 42), range(42, 48), range(48, 68)
# The mean of which landmarks stays where it is beside the mean of which others.
HELD = (
    ((17, 18), LEFT_EYE),  # the brows' outer ends and inner ends
    ((20, 21), LEFT_EYE),
    ((22, 23), RIGHT_EYE),
    ((25, 26), RIGHT_EYE),
    ((48,), MOUTH),  # the mouth's corners
    ((54,), MOUTH),
    ((37, 38), (40, 41)),  # lids
    ((43, 44), (46, 47)),
    ((61, 62, 63), (65, 66, 67)),  # lips
)


class Expression:
    """Of faces whose landmarks (N, 68, 2) are in shares of a region each, for flows that are ``allowed``
    (1, 1, G, G) times something.
    """

    def __init__(self, landmarks: Tensor, allowed: Tensor) -> None:
        side = allowed.shape[-1]
        single = torch.eye(side**2).to(allowed).view(1, -1, side, side)  # a flow in one point of the grid after another
        places = (2 * landmarks.to(allowed) - 1)[:, None]
        single = single.expand(len(landmarks), -1, -1, -1)
        at = F.grid_sample(single, places, mode="bicubic", padding_mode="border", align_corners=False)[:, :, 0]
        apart = torch.stack([at[..., list(one)].mean(2) - at[..., list(other)].mean(2) for one, other in HELD], dim=2)
        self.changing, _ = torch.linalg.qr(apart * allowed.flatten()[:, None])  # (N, G * G, what is held)

    def held(self, field: Tensor) -> Tensor:
        """The nearest fields (N, 2, G, G) that leave the expressions as they are."""
        flat = field.flatten(2)
        still: Tensor = flat - flat @ self.changing @ self.changing.transpose(1, 2)
        return still.view_as(field)
