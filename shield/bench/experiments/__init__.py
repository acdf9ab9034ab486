"""Experiments: protocols of papers and shield's own. One file and one name each."""

from shield.bench.experiments import (
    ablation,
    cleaning,
    cmua,
    families,
    leave_one_out,
    persons,
    portraits,
    proactive,
    recognisers,
    ruiz,
    starts,
    strengths,
    swaps,
    wang,
)
from shield.bench.experiments.experiment import Case, Experiment, Row, Setting, experiments

__all__ = [
    "Case",
    "Experiment",
    "Row",
    "Setting",
    "ablation",
    "cleaning",
    "cmua",
    "experiments",
    "families",
    "leave_one_out",
    "persons",
    "portraits",
    "proactive",
    "recognisers",
    "ruiz",
    "starts",
    "strengths",
    "swaps",
    "wang",
]
