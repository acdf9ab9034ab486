"""Experiments: protocols of papers and shield's own. One file and one name each."""

from shield.bench.experiments import cmua, families, leave_one_out, proactive, ruiz, strengths, wang
from shield.bench.experiments.experiment import Case, Experiment, Row, Setting, experiments

__all__ = [
    "Case",
    "Experiment",
    "Row",
    "Setting",
    "cmua",
    "experiments",
    "families",
    "leave_one_out",
    "proactive",
    "ruiz",
    "strengths",
    "wang",
]
