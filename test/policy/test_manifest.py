# SPDX-License-Identifier: Apache-2.0
"""A model is refused, with what to do, unless manifest, file and contract agree in everything."""

import hashlib
import json
import shutil

import onnx
import pytest

from cmkd_ros.contract.errors import ModelError
from cmkd_ros.policy.graph import header, open_session
from cmkd_ros.policy.manifest import load_manifest, save_manifest
from cmkd_ros.site import share


@pytest.fixture
def folder(tmp_path):
    """The shipped model, to be spoilt."""
    for name in ("student.json", "student.onnx"):
        shutil.copy(share("models", name), tmp_path / name)
    return tmp_path


def edit(folder, change):
    """Change the manifest's content by a function."""
    path = folder / "student.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def rebuild(folder, change, **manifest):
    """Change the ONNX model by a function, and make the checksum right again."""
    model = onnx.load(folder / "student.onnx")
    change(model)
    (folder / "student.onnx").write_bytes(model.SerializeToString())
    sha256 = hashlib.sha256((folder / "student.onnx").read_bytes()).hexdigest()
    return edit(folder, lambda content: content.update(sha256=sha256, **manifest))


def test_the_shipped_model_is_small_marked_demo_and_comes_back_from_its_own_manifest(folder, tmp_path):
    manifest = load_manifest(share("models", "student.json"))
    assert manifest.demo and manifest.licence == "Apache-2.0"
    assert len(manifest.model) < 2_000_000
    assert {"command", "seed", "date", "data", "figures"} <= manifest.provenance.keys()
    (tmp_path / "again").mkdir()
    save_manifest(manifest, tmp_path / "again" / "student.json")
    again = load_manifest(tmp_path / "again" / "student.json")
    assert again == manifest and again.model == manifest.model


def test_the_header_is_what_onnx_reads():
    model = onnx.load(share("models", "student.onnx"))
    assert header(share("models", "student.onnx").read_bytes()) == (
        model.ir_version,
        {entry.domain: entry.version for entry in model.opset_import},
    )


@pytest.mark.parametrize("damage", [b"", b"\x00", b"not a model at all", b"\x08"])
def test_a_file_that_is_no_model_is_refused(damage):
    with pytest.raises(ModelError, match="no ONNX model"):
        header(damage)
    with pytest.raises(ModelError, match="ONNX Runtime"):
        open_session(damage)


def test_one_flipped_bit_in_the_model_is_refused(folder):
    model = bytearray((folder / "student.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (folder / "student.onnx").write_bytes(model)
    with pytest.raises(ModelError, match=r"has sha256 .*copy both again"):
        load_manifest(folder / "student.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format_version=2), "format version 2; .* reads 1"),
        (lambda c: c.pop("format_version"), "format version None"),
        (lambda c: c.pop("licence"), "licence is missing"),
        (lambda c: c.update(extra=1), "extra is unknown"),
        (lambda c: c.update(demo="yes"), "demo is 'yes'"),
        (lambda c: c.update(file="../student.onnx"), "bare file name"),
        (lambda c: c.update(file="/etc/passwd"), "bare file name"),
        (lambda c: c.update(file="sub/student.onnx"), "bare file name"),
        (lambda c: c.update(file="student.pkl"), r"only \.onnx models"),
        (lambda c: c.update(file="other.onnx"), "cannot be read"),
        (lambda c: c["channels"]["names"].__setitem__(0, "moon_phase"), "moon_phase"),
        (lambda c: c["channels"]["means"].__setitem__(0, float("nan")), "mean nan"),
        (lambda c: c["channels"]["scales"].__setitem__(0, 0.0), "scale > 0"),
        (lambda c: c["future"]["scales"].__setitem__(1, float("inf")), "scale inf"),
        (lambda c: c["channels"]["means"].pop(), "one of each"),
        (lambda c: c["inputs"].pop("sky"), "inputs: sky is missing"),
        (lambda c: c["outputs"].update(smell={}), "outputs: smell is not in the contract"),
        (lambda c: c["inputs"]["now"].update(dtype="float64"), "inputs: now is .*float64"),
        (lambda c: c["sizes"].update(sky_height=32), "sky"),
        (lambda c: c["sizes"].update(sky_height=0), "sky_height is 0"),
        (lambda c: c.update(quantiles=[0.5, 0.1]), "quantiles .* ascending"),
        (lambda c: c.update(horizons_s=[3600.0, float("nan")]), "horizons_s .* finite"),
        (lambda c: c.update(horizons_s=[3600.0]), r"output price_ahead has shape"),
        (lambda c: c["action_bounds"].pop("led"), "action_bounds"),
        (lambda c: c["action_bounds"].update(led=[100.0, 0.0]), "action_bounds"),
        (lambda c: c.update(opset=18), "operator set 17, the manifest says 18"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(folder, change, message):
    with pytest.raises(ModelError, match=f"(?s){message}"):
        load_manifest(edit(folder, change))


def rename_input(model):
    model.graph.input[0].name = "heaven"
    for node in model.graph.node:
        node.input[:] = ["heaven" if name == "sky" else name for name in node.input]


def drop_output(model):
    del model.graph.output[0]


def fix_batch(model):
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1


def other_size(model):
    sky = next(value for value in model.graph.input if value.name == "sky")
    sky.type.tensor_type.shape.dim[4].dim_value = 4


def other_type(model):
    actions = next(value for value in model.graph.output if value.name == "actions")
    model.graph.node.append(onnx.helper.make_node("Cast", ["actions"], ["doubled"], to=onnx.TensorProto.DOUBLE))
    for node in model.graph.node:
        node.output[:] = [{"actions": "narrow", "doubled": "actions"}.get(name, name) for name in node.output]
        node.input[:] = ["narrow" if name == "actions" else name for name in node.input]
    actions.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE


def old_opset(model):
    model.opset_import[0].version = 11


def strange_operators(model):
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))


def new_ir(model):
    model.ir_version = 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_input, "(?s)input sky is missing.*input heaven is not in the contract"),
        (drop_output, "output actions is missing"),
        (fix_batch, "fixed batch of 1"),
        (other_type, r"output actions has type tensor\(double\)"),
        (old_opset, "operator set 11, the manifest says 17"),
        (strange_operators, r"operators of com\.example"),
        (new_ir, "IR version 12"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(folder, change, message):
    with pytest.raises(ModelError, match=message):
        load_manifest(rebuild(folder, change))


def test_a_graph_whose_declared_shape_differs_is_refused(folder):
    with pytest.raises(ModelError, match=r"input sky has shape \(B, 2, 64, 64, 4\)|refuses it"):
        load_manifest(rebuild(folder, other_size))


def test_every_fault_is_named_at_once(folder):
    def change(content):
        content.update(quantiles=[], file="student.pt")
        content["channels"]["scales"][0] = -1.0

    with pytest.raises(ModelError) as caught:
        load_manifest(edit(folder, change))
    assert all(word in str(caught.value) for word in ("quantiles", "student.pt", "scale -1.0"))


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / "student.json").write_text(text)
    with pytest.raises(ModelError, match=r"student\.json"):
        load_manifest(tmp_path / "student.json")
    with pytest.raises(ModelError, match="nowhere"):
        load_manifest(tmp_path / "nowhere.json")
