"""Where the lines are drawn between real, fake and not sure, and how much each flaw counts.

Everything but the false-alarm rate comes from faces of the training split that the detector did not learn from, by
``shield bench detector FOLDER --calibrate``.
"""

import math

FLAW_WEIGHTS = {"blur": 3.9, "grid": 1.6, "seam": 4.2, "skin": 1.55}  # log-odds per step of excess
UNFITTED_WEIGHT = 0.5  # of a check that is not in the list
FAKE_FROM = 0.92  # probability: from here on a photo is called fake
REAL_TO = 0.54  # up to here real; between the two nobody should be sure
FALSE_ALARMS = 0.0125  # share of untouched test faces called fake: the end of its 95 % interval (none of 240 were)


def probability_of(log_odds: float) -> float:
    """The probability with these log-odds."""
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, log_odds))))


def flaw_weight(name: str) -> float:
    """What a step of a check's excess adds to the log-odds."""
    return FLAW_WEIGHTS.get(name, UNFITTED_WEIGHT)


def called(probability: float) -> str:
    """The verdict on this probability: "real", "fake" or "unsure"."""
    return "fake" if probability >= FAKE_FROM else "real" if probability <= REAL_TO else "unsure"
