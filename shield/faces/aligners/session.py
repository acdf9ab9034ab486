"""The detectors' ONNX files as sessions of onnxruntime, each opened once."""

from functools import lru_cache
from typing import Any

import onnxruntime
import torch

from shield.weights import read_weights


@lru_cache
def load_session(name: str) -> Any:  # onnxruntime ships no types
    """The session of the model ``name``. Raises WeightsError where the file is missing or altered."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.enable_cpu_mem_arena = False  # it would keep the largest tile's activations for good
    options.log_severity_level = 3  # the file holds initialisers that nothing uses: no warning for each
    return onnxruntime.InferenceSession(read_weights(name), options, providers=["CPUExecutionProvider"])
