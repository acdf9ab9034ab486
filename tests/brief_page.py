"""app.py with the verification of the fixture ``brief``: what the page shows of it is under test, not what it finds."""

import runpy
import sys

from shield.surrogates import load_surrogate
from shield.verify import verification

verification.channels = {name: verification.channels[name] for name in ("none", "jpeg75")}  # type: ignore[assignment]
verification.load_surrogates = lambda place: [load_surrogate(name, place) for name in ("stargan", "identity")]
sys.argv[0] = "app.py"
runpy.run_path("app.py", run_name="__main__")
