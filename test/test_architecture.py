# SPDX-License-Identifier: Apache-2.0
"""The house stands as docs/architecture.md draws it: who may import whom, and which library lives in which room."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cmkd_ros"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)
ROW = re.compile(r"^\| `(\w+)/` \| .* \| (.*) \|$", re.MULTILINE)

# Libraries that live in few rooms, so that the rest runs without them.
HOMES = {
    "rclpy": {"middleware", "nodes"},
    "message_filters": {"middleware"},
    "torch": {"learning"},
    "onnx": {"learning"},
    "onnxruntime": {"policy", "learning"},
    "pymodbus": {"modbus", "simulation"},
    "highspy": {"policy", "evaluation"},
    "rosbags": {"bags"},
    "mcap": {"bags"},
    "matplotlib": {"bags", "evaluation"},
    "cv2": {"bags", "drivers", "evaluation", "fusion", "simulation"},
    "sounddevice": {"drivers"},
    "typer": {"cli"},
    "rich": {"cli"},
    "launch": set(),
    "launch_ros": set(),
}
MESSAGES = re.compile(r"^(\w+_msgs|builtin_interfaces|rcl_interfaces|rosgraph_msgs|cmkd_ros\.(msg|srv))(\.|$)")
ROS = {"middleware", "nodes"}


def table() -> dict[str, set[str]]:
    rooms = dict(ROW.findall((ROOT / "docs/architecture.md").read_text()))
    allowed = {}
    for room, words in rooms.items():
        if words == "nothing":
            allowed[room] = set()
        elif words.startswith("all but"):
            allowed[room] = set(rooms) - set(re.findall(r"\w+", words)) | {"cmkd_ros"}
        elif words.startswith("all"):
            allowed[room] = set(rooms)
        else:
            allowed[room] = set(words.split(", "))
    return allowed


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write cmkd_ros.<room>"
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def test_every_room_stands_in_the_table_and_says_what_it_is_for():
    rooms = {room_of(path) for path in MODULES}
    assert rooms <= set(table()), "add the room to docs/architecture.md"
    for room in rooms:
        assert ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())), f"{room} has no docstring"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may(path):
    room = room_of(path)
    for name in imports(path):
        first, *rest = name.split(".")
        if first == "cmkd_ros" and rest and rest[0] not in ("msg", "srv", "__version__"):
            assert rest[0] == room or rest[0] in table()[room], f"{path}: {room} may not import {rest[0]}"
        if first in HOMES:
            assert room in HOMES[first], f"{path}: {first} lives in {HOMES[first] or 'launch files'}, not in {room}"
        if MESSAGES.match(name):
            assert room in ROS, f"{path}: {name} is a ROS message; decode it by contract.decode"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_named_for_what_it_holds_and_can_be_read_in_one_sitting(path):
    text = path.read_text()
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), f"{path}: no SPDX header"
    assert ast.get_docstring(ast.parse(text)), f"{path}: no docstring"
    assert len(text.splitlines()) <= 350, f"{path}: more than one sitting"


def test_availability_is_asked_in_one_file():
    asked = [
        path.relative_to(PACKAGE)
        for path in MODULES
        if re.search(r"find_spec|except (ImportError|ModuleNotFoundError)", path.read_text())
    ]
    assert len(asked) <= 1, f"availability checks in {asked}"


def test_nodes_are_thin():
    for path in (PACKAGE / "nodes").glob("[!_]*.py"):
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        assert len(lines) <= 210, f"{path}: move logic into a room that can be tested without ROS"
