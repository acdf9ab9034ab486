"""The page: shield in the browser, for people who need not know what a GAN is.

Importing this package comes before importing gradio: it keeps proxies out and gives uploads a private place.
"""

import importlib.util

import shield

if importlib.util.find_spec("gradio") is None or importlib.util.find_spec("filelock") is None:
    raise shield.PackageError("The page needs Gradio; install it with: pip install 'shield[page]'")

from shield.page.private import FOLDER

__all__ = ["FOLDER"]
