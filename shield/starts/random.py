"""A change at random. The distance from the clean results has no slope where nothing has changed yet.

Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks" (arXiv 1706.06083).
"""

from shield.starts.start import Start, starts

NAME = "random"

starts.register(NAME)(Start())
