"""Aligners: what finds faces and their five points. One file and one word here each."""

from shield.faces.aligners import centerface, landmarks, yunet
from shield.faces.aligners.aligner import Aligner, aligners

__all__ = ["Aligner", "aligners", "centerface", "landmarks", "yunet"]
