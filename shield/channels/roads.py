"""The road of a search: the stand-in of a channel, or of several on end, made for what the search looks at."""

from shield.channels.channel import JOINED, Chain, Transform, View, channels
from shield.channels.none import AS_SAVED


def road(name: str, view: View, saving: Transform | None = None) -> Transform:
    """The stand-in of the channel ``name`` for a view; "half+jpeg75" is the one, then the other.

    ``saving``: what being saved does, where that is not nothing. Raises RecipeError for an unknown name.
    """
    parts = [
        saving if saving is not None and part == AS_SAVED else channels[part].stand_in(view)
        for part in name.split(JOINED)
    ]
    return parts[0] if len(parts) == 1 else Chain(parts)
