"""What stands in for a search where tests are about what is around it."""

from typing import Any

import shield
from shield.photo import decode, encode, open_photo, output_format
from shield.results import Protection
from shield.verify import HELD, PROTECTED, Effect, Report, Verification
from shield.verify.report import SCHEMA
from shield.verify.rows import FaceReport, FileReport
from shield.verify.visibility import FaceVisibility, PhotoVisibility


def stand_in(source: Any, recipe: shield.Recipe | None = None, *_: object, **__: object) -> Protection:
    """What protect() gives, without a search: red photos show no face, green ones keep to no bound."""
    photo, recipe = open_photo(source), recipe or shield.Recipe()
    level = photo.pixels[0, 0].tolist()
    if level[0] > 200 > level[1]:
        raise shield.FaceError(f"{photo.path or 'The photo'} shows no face.")
    if level[1] > 200 > level[0]:
        raise shield.BoundError("No change fits the bound.")
    kind = output_format(photo, recipe.format)
    data = encode(photo, kind)
    made = decode(data)
    names = [
        FileReport(name, it.sha256, kind, it.width, it.height)
        for name, it in ((photo.path and photo.path.name, photo), (None, made))
    ]
    face = FaceReport(
        (0, 0, 9, 9), 1.0, 9.0, FaceVisibility(0.01, {256: 0.01}, 0.01, 0.02, 1.0, 0.5, 0.2, 40.0, 0.99, 3), 0.01
    )
    effect = Effect(0, "stargan", "old", True, PROTECTED, "none", HELD, 1, 1.0, 0.05, 1.0, True, 1.0, 1.0, 1.0)
    visible = PhotoVisibility(0.01, 40.0, 0.99, 3, 0)
    report = Report(SCHEMA, recipe.settings(), *names, (face,), visible, (effect,), (), {}, {}, {}, {})
    return Protection(photo, made, data, Verification(report, photo.pixels, photo.pixels, ()))
