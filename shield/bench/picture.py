"""The README's picture: a photo, the same photo protected, and what a face swap makes of both.

``shield bench picture docs/picture.jpg`` makes it anew. All on it are people who do not exist, and every manipulated
picture is marked.
"""

from pathlib import Path
from typing import Annotated

import typer

from shield.channels import AS_SAVED
from shield.photo import encode, open_photo
from shield.pipeline import protect
from shield.verify import Plan, verify_photo
from shield.verify.sheet import swap_picture

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "portrait.jpg"
DONORS = ("man", "youth", "elder")
SIDE = 240  # px of a tile


def main(
    out: Annotated[Path, typer.Argument(help="The picture to write (JPEG).")],
    photo: Annotated[Path, typer.Option(help="The photo, of somebody who does not exist.")] = EXAMPLE,
    protected: Annotated[Path | None, typer.Option(help="It was protected before: to this file.")] = None,
) -> None:
    """Draw a photo, the same photo protected, and what a face swap makes of both."""
    after = open_photo(protected) if protected else protect(photo).photo
    plan = Plan(surrogates=("sface",), channels=(AS_SAVED,), donors=DONORS, put_on=0)
    found = verify_photo(photo, after, plan=plan)
    drawn = swap_picture(found.original, found.protected, found.swaps, SIDE)
    out.write_bytes(encode(open_photo(drawn), "jpeg", quality=88))
    typer.echo(found.report.swap_sentence())
