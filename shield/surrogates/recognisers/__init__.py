"""Face recognisers: what face swaps and face search take of a photo is an embedding, nothing else."""

from shield.surrogates.recognisers.recogniser import RECOGNISERS, STUDENTS, Recogniser, load_recogniser, student_of

__all__ = ["RECOGNISERS", "STUDENTS", "Recogniser", "load_recogniser", "student_of"]
