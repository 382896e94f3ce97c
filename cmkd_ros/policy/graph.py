# SPDX-License-Identifier: Apache-2.0
"""A model file: opened under ONNX Runtime the one way this package runs models, and what its header says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnxruntime

from cmkd_ros.contract.errors import ModelError

# ONNX Runtime 1.17, the oldest that the package names, runs these (its docs/Versioning.md).
OPSETS = range(13, 21)
MAX_IR_VERSION = 9


def open_session(model: bytes) -> Any:
    """An `onnxruntime.InferenceSession` for a model in memory, which therefore cannot refer to other files.

    One thread and sequential: a decision takes milliseconds, the farm's computer has other work, and sums are added up
    in the same order each time. No spinning: a waiting thread would burn a core between decisions. Raises `ModelError`
    when ONNX Runtime refuses the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors; they are raised as well
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no public base
        raise ModelError(f"ONNX Runtime {onnxruntime.__version__} refuses it: {error}") from error


def header(model: bytes) -> tuple[int, dict[str, int]]:
    """IR version and operator set by domain ("" is ONNX's own) of a serialised ModelProto.

    ONNX Runtime does not tell them, and the onnx package is not needed on a farm, so the two fields are read here
    (onnx.proto: ir_version = 1; opset_import = 8 with domain = 1, version = 2). Raises `ModelError` for other files.
    """
    ir_version, opsets = 0, {}
    try:
        for number, value in _fields(model):
            if number == 1 and isinstance(value, int):
                ir_version = value
            elif number == 8 and isinstance(value, bytes):
                entry = dict(_fields(value))
                opsets[bytes(entry.get(1, b"")).decode().replace("ai.onnx", "", 1)] = int(entry.get(2, 0))
    except (IndexError, ValueError, TypeError) as error:
        raise ModelError("it is no ONNX model") from error
    if not ir_version or not opsets:
        raise ModelError("it is no ONNX model: it has no version or operator set")
    return ir_version, opsets


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer: (number, integer or bytes)."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7 == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        if tag & 7 == 2:
            length, position = _varint(message, position)
        elif tag & 7 in (1, 5):
            length = 8 if tag & 7 == 1 else 4
        else:
            raise ValueError(f"wire type {tag & 7}")
        if position + length > len(message):
            raise ValueError("truncated")
        yield tag >> 3, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
