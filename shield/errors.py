"""Every error that shield raises on purpose. The text is one sentence: what is wrong and what to do.

ShieldError
    InputError          something the user gave cannot be used (command line: exit code 2)
        PhotoError      a photo cannot be read or written
        FaceError       the photo shows no face
        RecipeError     a setting is unknown or out of range
    WeightsError        a weight file is missing, altered or of another architecture (exit code 2)
    BoundError          the change cannot be kept within the bound (exit code 1)
    SearchError         the search broke down, for example a loss that is not a number (exit code 1)
    ProcessError        torch would hang in this process, which was forked, or no process can be begun (exit code 2)
"""

import unicodedata

STEERING = {"Cc", "Cs", "Zl", "Zp"}  # Unicode's control characters, halves of characters, ends of lines
TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # what turns the text's direction


def printable(text: str) -> str:
    r"""``text`` on one line, with nothing in it that steers a terminal: such characters as Python writes them (\x1b).

    The name of a file may hold anything.
    """
    return "".join(repr(sign)[1:-1] if _steers(sign) else sign for sign in text)


def _steers(sign: str) -> bool:
    return unicodedata.category(sign) in STEERING or unicodedata.bidirectional(sign) in TURNING


class ShieldError(Exception):
    """Root of the tree. Its sentence is ``printable``, whatever the names in it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))


class InputError(ShieldError):
    """Something the user gave cannot be used."""


class PhotoError(InputError):
    """A photo cannot be read or written."""


class FaceError(InputError):
    """The photo shows no face."""


class RecipeError(InputError):
    """A setting is unknown or out of range."""


class WeightsError(ShieldError):
    """A weight file is missing, altered or of another architecture."""


class BoundError(ShieldError):
    """The change cannot be kept within the bound on the saved file."""


class SearchError(ShieldError):
    """The search broke down."""


class ProcessError(ShieldError):
    """torch would hang in this process, or none can be begun."""
