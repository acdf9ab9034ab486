"""GANimation as published: the authors' own and the vipermu port (Pumarola et al. 2018, arXiv 1807.09251)."""

from shield.surrogates.generator import AttentionGenerator
from shield.surrogates.published.conditions import Conditions
from shield.surrogates.published.family import Family, Plan, Tensors, families, sides
from shield.surrogates.published.trunk import MULTIPLE, trunk_sizes

# The conditions: intensities of these units of the Facial Action Coding System, 0 to 5 as OpenFace measures them,
# divided by 5.
ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
STRONGEST = 5

# Intensities of the units that make up an expression (Ekman and Friesen 1978); the others are 0.
EXPRESSIONS = {
    "smile": {6: 3, 12: 4, 25: 2},
    "surprised": {1: 3, 2: 3, 5: 3, 25: 3, 26: 4},
    "angry": {4: 4, 5: 2, 7: 3, 23: 3},
    "sad": {1: 3, 4: 2, 15: 4, 17: 2},
    "disgusted": {9: 4, 10: 3, 17: 2},
    "eyes closed": {45: 5},
}
EDITS = {name: tuple(units.get(unit, 0) / STRONGEST for unit in ACTION_UNITS) for name, units in EXPRESSIONS.items()}

UNITS = Conditions(published={len(ACTION_UNITS): EDITS}, certain=True)  # OpenFace measures 17 units and no others
OUTPUTS = {"img_reg": "im_reg", "attetion_reg": "im_att"}  # as the authors' own files call them, spelling included


def build(tensors: Tensors) -> Plan:
    sizes = trunk_sizes(tensors)
    return Plan(AttentionGenerator(*sizes), sizes.conditions, sides(MULTIPLE))


GANIMATION = families.register("ganimation")(
    Family("GANimation", "none stated", "Face manipulator with attention", 128, build, UNITS, renamed=OUTPUTS)
)
