"""The structure: imports go down, methods have one shape, `import hsn` is light, public names have examples."""

import ast
import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hsn

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hsn"
FILES = sorted(path for path in PACKAGE.rglob("*.py"))

FLOORS = (
    (
        "errors",
        "checks",
        "progress",
        "files",
        "limits",
        "matlab",
        "locks",
        "notes",
        "rasters",
        "geojson",
        "instances",
        "strips",
        "_native",
        "config",
        "records",
        "deprecated",
        "keras_start",
        "types",
        "taxonomies",
    ),
    ("images", "store", "stains", "objects", "annotations", "selection", "crf", "metrics", "instant"),
    ("nets", "losses"),
    ("training", "prediction"),
    ("models", "data", "exports"),
    ("extras",),
    ("supervision",),
    ("reports", "wsi", "projects"),
    ("workflows",),
    ("app",),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
KERAS_FLOOR = FLOOR["nets"]

BACKENDS = {"tensorflow", "jax", "torch"}

METHOD_FILES = {
    "make_targets": "target_maps",
    "make_loss": "losses",
    "fit": "training",
    "segment": "inference",
}
METHOD_SHAPE = {
    "make_targets": "image, annotation, config",
    "make_loss": "config",
    "fit": "net, images, annotations, config, *, out, progress=None",
    "segment": "net, image, config, *, taxonomy=None, mpp=None, progress=None",
}
LONGEST_FUNCTION = 60  # lines of code, docstring not counted


def room_of(path):
    """The room that a file belongs to: its folder or file in `hsn`, and for the methods their own folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    method = parts[0] == "supervision" and len(parts) > 2
    return ".".join(parts[:2]) if method else parts[0]


def imports_of(path):
    """Modules that a file imports, anywhere in it, as full names."""
    package = ("hsn", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms_imported(path):
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "hsn" and len(parts) > 1 and (parts[1] in FLOOR or (PACKAGE / parts[1]).exists()):
            method = parts[1] == "supervision" and (PACKAGE / parts[1] / parts[2]).is_dir()
            yield ".".join(parts[1:3]) if method else parts[1]


def inner_files():
    return [path for path in FILES if path != PACKAGE / "__init__.py"]


def id_of(path):
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", inner_files(), ids=id_of)
def test_imports_go_down_and_rooms_on_a_floor_do_not_import_each_other(path):
    room = room_of(path)
    floor = FLOOR[room.split(".")[0]]
    others = {other for other in rooms_imported(path) if other != room}
    # Floor 0 is one room of single files.
    upwards = sorted(other for other in others if FLOOR[other.split(".")[0]] >= max(floor, 1))
    assert not upwards, f"{id_of(path)} on floor {floor} imports {upwards}"


@pytest.mark.parametrize("path", inner_files(), ids=id_of)
def test_keras_lives_on_its_floor_and_above(path):
    if FLOOR[room_of(path).split(".")[0]] < KERAS_FLOOR and room_of(path) != "keras_start":
        assert not {name.split(".")[0] for name in imports_of(path)} & {"keras", "tensorflow", "jax", "torch"}


@pytest.mark.parametrize("path", inner_files(), ids=id_of)
def test_keras_is_used_only_through_its_public_interface(path):
    imported = list(imports_of(path))
    assert not [name for name in imported if name.startswith(("keras.src", "tf_keras"))]
    # What Keras offers no neutral call for, gradients, is there for every backend or for none.
    assert {name.split(".")[0] for name in imported} & BACKENDS in (set(), BACKENDS)


@pytest.mark.parametrize("path", inner_files(), ids=id_of)
def test_backends_are_imported_only_by_the_function_that_needs_one(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in getattr(node, "names", [])] + [getattr(node, "module", None) or ""]
        assert not {name.split(".")[0] for name in names} & BACKENDS


METHODS = sorted(path for path in (PACKAGE / "supervision").iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("folder", METHODS, ids=lambda path: path.name)
def test_methods_have_one_shape(folder):
    for name, arguments in METHOD_SHAPE.items():
        tree = ast.parse((folder / f"{METHOD_FILES[name]}.py").read_text(encoding="utf-8"))
        signatures = [
            ast.unparse(n.args) for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name
        ]
        assert signatures == [arguments]
    config = ast.parse((folder / "config.py").read_text(encoding="utf-8"))
    (found,) = [n for n in config.body if isinstance(n, ast.ClassDef) and n.name == "Config"]
    assert "frozen=True" in [ast.unparse(k) for d in found.decorator_list for k in getattr(d, "keywords", [])]


def test_every_method_is_listed_in_methods():
    from hsn.supervision import METHODS as KNOWN

    assert sorted(KNOWN) == [path.name for path in METHODS]


def test_no_room_is_named_like_a_public_function():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    doors = {name for name, place in hsn._EXPORTS.items() if ":" in place}
    assert not rooms & doors


def run(code):
    """What a fresh Python prints, as JSON."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_importing_the_package_loads_no_heavy_module():
    loaded = run("import hsn, sys, json; print(json.dumps(sorted(sys.modules)))")
    heavy = {
        "keras",
        "numpy",
        "tensorflow",
        "jax",
        "torch",
        "matplotlib",
        "scipy",
        "cv2",
        "pydantic",
        "socket",
    }
    assert not heavy & set(loaded)


def test_importing_changes_no_global_state():
    before_and_after = run(
        "import json, logging, os, sys, warnings\n"
        "state = lambda: [len(logging.getLogger().handlers), logging.getLogger().level, sorted(os.environ),"
        " [str(f) for f in warnings.filters], sys.getrecursionlimit()]\n"
        "before = state()\n"
        "import hsn, hsn.cli\n"
        "print(json.dumps([before, state()]))"
    )
    assert before_and_after[0] == before_and_after[1]


def test_the_package_lists_its_public_names():
    assert set(dir(hsn)) == set(hsn.__all__)
    with pytest.raises(AttributeError, match=r"has no attribute 'sgement'; it has .*segment, "):
        hsn.sgement  # noqa: B018


@pytest.mark.parametrize("name", [name for name, place in hsn._EXPORTS.items() if ":" in place])
def test_every_public_name_has_a_running_example(name):
    assert ">>>" in (getattr(hsn, name).__doc__ or "")


def test_every_public_name_can_be_imported():
    for name, place in hsn._EXPORTS.items():
        room, _, inner = place.partition(":")
        module = importlib.import_module(room)
        assert getattr(hsn, name) is (getattr(module, inner) if inner else module)


@pytest.mark.parametrize(("old", "new"), [("Refusal", "InputError"), ("synthesise", "synthesize")])
def test_names_of_the_last_release_still_work_with_a_warning(old, new):
    with pytest.warns(DeprecationWarning, match=f"hsn.{old} is deprecated; use hsn.{new}"):
        value = getattr(hsn, old)
    assert value is getattr(hsn, new)


def lines_of_code(node):
    """Lines of a function without its docstring."""
    first = node.body[0]
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return node.end_lineno - node.lineno + 1 - (told and first.end_lineno - first.lineno + 1)


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_functions_fit_on_a_page(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if lines_of_code(node) > LONGEST_FUNCTION] == []


@pytest.mark.parametrize("path", FILES, ids=id_of)
def test_every_file_and_public_name_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{id_of(path)} has no docstring"
    public = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name[0] != "_"]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


def test_the_changelog_names_the_version():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["version"] == hsn.__version__
    assert f"## {hsn.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
