"""The page: shield in the browser, for people who need not know what a GAN is.

Importing this package comes before importing gradio: it keeps proxies out and gives uploads a private place.
"""

from shield.page.private import FOLDER

__all__ = ["FOLDER"]
