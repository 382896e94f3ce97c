# SPDX-License-Identifier: Apache-2.0
"""Message types without ROS: definitions and hashes for what we write, decoding by those that a bag carries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.serde.errors import SerdeError
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.base import TypesysError
from rosbags.typesys.store import Typestore

from cmkd_ros.contract.errors import BagError, SampleError
from cmkd_ros.site.files import share

PACKAGE = "cmkd_ros"
_RULE = "=" * 80


@dataclass(frozen=True)
class Definition:
    """A type as a bag carries it: `text` in ROS's .msg syntax with all it contains, `digest` its RIHS01 hash."""

    type_name: str
    text: str
    digest: str


@cache
def our_types() -> Typestore:
    """ROS 2 Jazzy's messages and this package's (msg/*.msg). Raises `ConfigurationError` when msg/ is not installed."""
    store = get_typestore(Stores.ROS2_JAZZY)
    added: dict[str, Any] = {}
    for name, text in _own_texts().items():
        added.update(get_types_from_msg(text, name))
    store.register(added)
    return store


@cache
def definition(type_name: str) -> Definition:
    """The definition that goes into a bag; our own messages with their comments, which hold units and ranges.

    Raises `BagError` for a type that neither ROS 2 Jazzy nor this package has.
    """
    store = our_types()
    if type_name not in store.fielddefs:
        raise BagError(f"{type_name}: unknown message type; known are ROS 2 Jazzy's and {PACKAGE}'s, as pkg/msg/Name")
    generated, _ = store.generate_msgdef(type_name, ros_version=2)
    own = _own_texts()
    first, *rest = generated.split(f"{_RULE}\nMSG: ")
    parts = [own.get(type_name, first)]
    for part in rest:
        short, body = part.split("\n", 1)
        parts.append(f"{_RULE}\nMSG: {short}\n{own.get(full_name(short), body)}")
    return Definition(type_name, "".join(parts), store.hash_rihs01(type_name))


def serialize(message: Any, type_name: str) -> bytes:
    """A message-shaped object (rosbags' own classes or the like) as CDR, as rclpy.serialization would write it."""
    return bytes(our_types().serialize_cdr(message, type_name))


def full_name(type_name: str) -> str:
    """`sensor_msgs/Image`, as old bags and .msg files write it -> `sensor_msgs/msg/Image`."""
    package, _, rest = type_name.partition("/")
    return type_name if "/" in rest or not rest else f"{package}/msg/{rest}"


@cache
def digest(type_name: str, text: str) -> str:
    """The RIHS01 hash of a bag's own definition; empty where it carries none, or none that can be used."""
    try:
        return str(_store(full_name(type_name), text).hash_rihs01(full_name(type_name))) if text.strip() else ""
    except (TypesysError, KeyError, ValueError):
        return ""


class Decoder:
    """CDR bytes of one type to a message-shaped object, by the bag's own definition, or by ours where it has none."""

    def __init__(self, type_name: str, text: str = ""):
        """`text`: the bag's definition, .msg or IDL; empty when it carries none. Raises `BagError` when unusable."""
        self.type_name = full_name(type_name)
        try:
            self._store = _store(self.type_name, text) if text.strip() else our_types()
        except (TypesysError, KeyError, ValueError) as error:
            raise BagError(f"{type_name}: the bag's definition cannot be used: {error}") from error
        if self.type_name not in self._store.fielddefs:
            raise BagError(f"{type_name}: the bag carries no definition of it, and it is none of ROS 2 Jazzy's or ours")

    def __call__(self, data: bytes) -> Any:
        """Raises `SampleError` for bytes that are not one message of this type."""
        try:
            return self._store.deserialize_cdr(data, self.type_name)
        # The generated code meets garbage with whatever its first wrong step raises.
        except (SerdeError, ValueError, IndexError, KeyError, OverflowError, MemoryError, AssertionError) as error:
            raise SampleError(f"{self.type_name}: {len(data)} bytes are no such message: {error}") from error


def _store(type_name: str, text: str) -> Typestore:
    """A store of its own for each definition: two files of a bag may hold two versions of a message."""
    types: dict[str, Any] = {}
    if re.match(rf"{_RULE}\nIDL: ", text):
        for part in text.split(f"{_RULE}\n")[1:]:
            types.update(get_types_from_idl(part.split("\n", 1)[1]))
    elif re.search(r"^\s*module\s+\w+\s*\{", text, re.MULTILINE):
        types.update(get_types_from_idl(text))
    else:
        types.update(get_types_from_msg(text, type_name))
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    return store


@cache
def _own_texts() -> dict[str, str]:
    folder: Path = share("msg")
    return {f"{PACKAGE}/msg/{path.stem}": path.read_text("utf-8") for path in sorted(folder.glob("*.msg"))}
