"""CycleGAN and pix2pix's residual generator as published: junyanz/pytorch-CycleGAN-and-pix2pix.

Zhu et al. 2017 (arXiv 1703.10593), Isola et al. 2017 (arXiv 1611.07004). A file holds one direction of a pair.
"""

from shield.surrogates.published.conditions import Conditions
from shield.surrogates.published.family import Family, Plan, Tensors, families
from shield.surrogates.published.resnet import resnet

STEPS = 2
ONE_EDIT = Conditions(published={0: {"translated": ()}}, certain=True)


def build(tensors: Tensors) -> Plan:
    return resnet(tensors, STEPS)


CYCLEGAN = families.register("cyclegan")(
    Family("CycleGAN", "BSD", "Picture translator, one direction of a pair", 256, build, ONE_EDIT)
)
