"""The five points computed from 68 landmarks, in a frame that a detector found: what FaceFusion aligns faces by."""

from dataclasses import replace

import torch

from shield.faces.aligners.aligner import Pixels, aligners
from shield.faces.face import Face, crop_matrix, distance
from shield.faces.landmarks import BIAS, FRAMING, SIZE, five_points, landmark_network
from shield.faces.sampling import cut
from shield.faces.templates import as_points, transformed

NAME, DETECTOR = "landmarks", "centerface"
# The network was trained on upright faces in portrait framing. Each reading frames the next one better, until the
# points stay where they are: two readings for an upright face, three or four for one on its side.
READINGS, STILL = 4, 0.05  # at most; a point that moved by no more eye distances


@torch.no_grad()
def read_points(pixels: Pixels, face: Face) -> Face:
    """The face with the landmarks' five points, read in the frame of its own, then in that of the points read."""
    for _ in range(READINGS):
        points = landmark_network()(cut(pixels, face, SIZE, FRAMING))[0].double().numpy()
        found = transformed(crop_matrix(face, FRAMING), five_points(points) + BIAS)
        before, face = face, replace(face, points=as_points(found), aligner=NAME)
        if distance(before, face) < STILL:
            break
    return face


@aligners.register(NAME)
def landmarks(pixels: Pixels) -> list[Face]:
    return [read_points(pixels, face) for face in aligners[DETECTOR](pixels)]
