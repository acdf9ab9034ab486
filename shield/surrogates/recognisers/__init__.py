"""Face recognisers: what face swaps and face search take of a photo is an embedding, nothing else."""

from shield.surrogates.recognisers.recogniser import JUDGE, RECOGNISERS, Recogniser, load_recogniser

__all__ = ["JUDGE", "RECOGNISERS", "Recogniser", "load_recogniser"]
