"""ONNX files as torch modules: for any batch, in full precision, with gradients.

What computes shapes in the file is computed once for a batch of one, so that the module holds layers alone.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, TensorProto, numpy_helper
from torch import nn

from shield.errors import InputError

ERRORS_ONLY = 3  # of onnxruntime's severities
FIRST, SCALING = 8, {"Sub", "Mul"}  # layers in front, among which these mean that a network takes levels
ANY = "n"  # the name of an axis of any length


def module_of(data: bytes) -> nn.Module:
    """An ONNX file, as ``simplified`` writes it, as a torch module in evaluation mode, frozen.

    Raises InputError where torch lacks one of its operators.
    """
    import onnx2torch  # here, because it brings torchvision: a second that no start of the program need pay

    try:
        network: nn.Module = onnx2torch.convert(onnx.load_from_string(data))
    except Exception as error:  # whatever goes wrong in another's file
        raise InputError(f"The ONNX network cannot be run by torch ({error}); take another export of it.") from error
    return network.eval().requires_grad_(False)


class Simplified(NamedTuple):
    """An ONNX file. ``size``: side of the faces that it takes, px. ``levels``: it subtracts and scales by itself."""

    data: bytes
    size: int
    levels: bool


def simplified(data: bytes) -> Simplified:
    """The same network as an ONNX file of plain layers in float32 that takes any batch.

    Raises InputError where the bytes are no ONNX network of one picture of a known size.
    """
    try:
        model = onnx.load_from_string(data)
        _without_weights_as_inputs(model)
        size = _size(model)
        levels = {node.op_type for node in model.graph.node[:FIRST]} >= SCALING
        _in_full_precision(model)
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
        folded = _folded(model.SerializeToString())
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"The file is no ONNX network that can be run ({error}); name a whole one.") from error
    _for_any_batch(folded)
    return Simplified(folded.SerializeToString(), size, levels)


def _size(model: ModelProto) -> int:
    """The side of the one square picture (N, 3, side, side) that a network takes; raises InputError otherwise."""
    shapes = [[axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in model.graph.input]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] != 3 or not 0 < shapes[0][2] == shapes[0][3]:
        found = " and ".join(map(str, shapes)) or "nothing"
        raise InputError(
            f"A recogniser takes one square picture (N, 3, side, side) of a fixed size, and this file takes {found} "
            "(0: any length); name another file."
        )
    side: int = shapes[0][2]
    return side


def _without_weights_as_inputs(model: ModelProto) -> None:
    """Old exports list the weights among the inputs, in place."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def _in_full_precision(model: ModelProto) -> None:
    """Half precision to single, in place: weights, constants, casts, inputs and outputs."""
    graph = model.graph
    for tensor in graph.initializer:
        _widen(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _widen(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))


def _folded(data: bytes) -> ModelProto:
    """With everything computed that does not depend on the picture."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return onnx.load(path)


def _for_any_batch(model: ModelProto) -> None:
    """Free the batch axis, in place: of input and outputs, and of every reshape to a batch of one."""
    for value in (model.graph.input[0], *model.graph.output):
        axis = value.type.tensor_type.shape.dim[0]
        axis.Clear()
        axis.dim_param = ANY
    del model.graph.value_info[:]
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Reshape" and node.input[1] in constants:
            shape = numpy_helper.to_array(constants[node.input[1]]).copy()
            # A batch of one in front and "the rest" behind: the rest is what it is for one picture, the batch is free.
            if len(shape) > 1 and shape[0] == 1:
                shape[0] = 0 if (shape[1:] == -1).any() else -1
                constants[node.input[1]].CopyFrom(numpy_helper.from_array(shape, node.input[1]))
