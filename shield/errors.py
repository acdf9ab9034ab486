"""Every error that shield raises on purpose. The text is one sentence: what is wrong and what to do.

ShieldError
    InputError          something the user gave cannot be used (command line: exit code 2)
        PhotoError      a photo cannot be read or written
        FaceError       the photo shows no face
        RecipeError     a setting is unknown or out of range
    WeightsError        a weight file is missing, altered or of another architecture (exit code 2)
    BoundError          the change cannot be kept within the bound (exit code 1)
    SearchError         the search broke down, for example a loss that is not a number (exit code 1)
    ProcessError        torch would hang in this process, which was forked from another (exit code 2)
"""


class ShieldError(Exception):
    """Root of the tree."""


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
    """torch would hang in this process."""
