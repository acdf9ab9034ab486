"""Output on any console: what its encoding cannot say is spelled out, in place of an exception."""

import io
import sys


def spell_out() -> None:
    """Write what standard output cannot encode (cp1252, cp437, ascii) as its code, as standard error does by itself."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
