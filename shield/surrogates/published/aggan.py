"""AGGAN as published: AttentionGAN v1, Ha0Tang/AttentionGAN (Tang et al. 2019, arXiv 1903.12296)."""

from torch import Tensor, nn

from shield.surrogates.generator import trunk, with_conditions
from shield.surrogates.published.family import Family, Plan, Tensors, families, sides
from shield.surrogates.published.trunk import ATTRIBUTES, MULTIPLE, trunk_sizes


class AGGANGenerator(nn.Module):
    """StarGAN's trunk with four outputs: attention a (after a sigmoid) and content, y = a content + (1 - a) x.

    Here attention marks what is new; in GANimation it marks what is copied.
    """

    def __init__(self, width: int, conditions: int, blocks: int) -> None:
        super().__init__()
        self.main = nn.Sequential(*trunk(width, conditions, blocks), nn.Conv2d(width, 4, 7, padding=3, bias=False))

    def forward(self, faces: Tensor, conditions: Tensor) -> Tensor:
        output = self.main(with_conditions(faces, conditions))  # (N, 4, H, W)
        attention, content = output[:, :1].sigmoid(), output[:, 1:]
        result: Tensor = attention * content + (1 - attention) * faces
        return result.clamp(-1, 1)  # content has no tanh: the authors clamp where they save


def build(tensors: Tensors) -> Plan:
    sizes = trunk_sizes(tensors)
    return Plan(AGGANGenerator(*sizes), sizes.conditions, sides(MULTIPLE))


AGGAN = families.register("aggan")(
    Family("AGGAN (AttentionGAN v1)", "CC BY-NC-SA", "Face manipulator with attention", 128, build, ATTRIBUTES)
)
