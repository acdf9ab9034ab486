"""How far a surrogate's results are from its clean results, and how near that is to the goal.

Distances follow Ruiz et al. 2020 (arXiv 2003.01279) and Huang et al. 2022 (CMUA-Watermark, arXiv 2105.10872).
Pictures are (N, E, 3, h, w) in [-1, 1], one per face and edit; embeddings are (N, E, D). All return (N, E).
"""

from torch import Tensor

MASK_CHANGE = 0.5  # CMUA: where an edit changes a pixel by more than this (sum over channels) counts in l2_mask


def l2(results: Tensor, clean: Tensor) -> Tensor:
    """Mean squared difference between pictures."""
    return (results - clean).square().flatten(2).mean(2)


def l1(results: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute difference between pictures."""
    return (results - clean).abs().flatten(2).mean(2)


def l2_mask(results: Tensor, clean: Tensor, faces: Tensor) -> Tensor:
    """l2 inside the region where the clean edit changes ``faces`` (N, 3, h, w) in [-1, 1]; 0 where there is none."""
    changed = ((clean - faces[:, None]).abs().sum(2, keepdim=True) > MASK_CHANGE).float()
    squares = ((results - clean).square().mean(2, keepdim=True) * changed).flatten(2).sum(2)
    return squares / changed.flatten(2).sum(2).clamp(min=1)


def squared_distance(results: Tensor, clean: Tensor) -> Tensor:
    """Squared Euclidean distance between embeddings."""
    return (results - clean).square().sum(2)


def share_of_goal(distances: Tensor, goal: float) -> Tensor:
    """Mean over faces and edits of min(distance / goal, 1): edits that are broken for good stop pulling."""
    return (distances / goal).clamp(max=1).mean()
