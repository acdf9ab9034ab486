"""Ruiz et al. 2020's answer to a blur of unknown width: another width at every step of the search."""

from functools import partial

from shield.channels.blur import Blur, blur
from shield.channels.channel import Channel, channels

NARROWEST, WIDEST = 0.3, 3.0  # px: sigma

channels.register("spread-spectrum-blur")(
    Channel(
        "blurring of unknown width",
        partial(blur, sigma=(NARROWEST + WIDEST) / 2),
        partial(Blur, NARROWEST, WIDEST),
        only_searched=True,
    )
)
