"""CycleGAN and pix2pix's residual generator as published: junyanz/pytorch-CycleGAN-and-pix2pix.

Zhu et al. 2017 (arXiv 1703.10593), Isola et al. 2017 (arXiv 1611.07004). A file holds one direction of a pair.
"""

from torch import nn

from shield.surrogates.published.family import Edits, Family, Tensors, families
from shield.surrogates.published.resnet import resnet

STEPS = 2
EDITS: Edits = {"translated": ()}


def build(tensors: Tensors) -> tuple[nn.Module, Edits]:
    return resnet(tensors, STEPS), EDITS


CYCLEGAN = families.register("cyclegan")(
    Family("CycleGAN", "BSD", "Picture translator, one direction of a pair.", 256, 2**STEPS, build)
)
