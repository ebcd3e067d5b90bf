"""The start of the command line: light imports, quiet, errors as one sentence."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hsn
from hsn import keras_start

ROOT = Path(__file__).parents[2]
HEAVY = {
    "keras", "numpy", "tensorflow", "jax", "torch", "matplotlib", "scipy", "cv2", "skimage", "rich", "pygments",
    "typer.rich_utils",
}  # fmt: skip
HELP = """
import json, sys
sys.argv = ["hsn", *{arguments}]
from hsn.cli import main
try:
    main()
except SystemExit as end:
    print(json.dumps([end.code, sorted(sys.modules)]), file=sys.stderr)
"""


def start(*arguments):
    """Run `hsn` in a Python of its own: exit code, stdout, and which modules it loaded."""
    code = HELP.format(arguments=list(arguments))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    *said, last = done.stderr.splitlines()
    code, modules = json.loads(last)
    return code, done.stdout, said, set(modules)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["fit", "--help"], ["models", "--help"], ["models", "import", "-h"], ["--version"]],
)
def test_help_loads_neither_keras_nor_numpy_nor_rich(arguments):
    code, stdout, said, modules = start(*arguments)
    assert code == 0
    assert not said
    assert not HEAVY & modules
    # Typer parses the parameters of a command with pydantic; the first page of help needs none.
    assert arguments != ["--help"] or "pydantic" not in modules
    assert stdout.strip() == f"hsn {hsn.__version__}" if arguments == ["--version"] else "Usage" in stdout


def test_help_is_fast():
    def seconds():
        before = time.perf_counter()
        start("--help")
        return time.perf_counter() - before

    # 0.13 s on a quiet machine, at most 0.3 s promised; the best of a few runs, with room for a busy machine.
    assert min(seconds() for _ in range(4)) < 0.8


def test_help_names_every_command():
    _, stdout, _, _ = start("--help")
    for command in ("segment", "fit", "evaluate", "models", "demo", "doctor"):
        assert f" {command} " in stdout
    _, stdout, _, _ = start("models", "--help")
    for command in ("list", "import", "show", "fetch"):
        assert f" {command} " in stdout


def test_help_lists_options_in_groups_common_ones_first():
    _, stdout, _, _ = start("fit", "--help")
    groups = {text.split(":\n")[0]: text for text in stdout.split("\n\n")}
    names = list(groups)[2:]
    assert names[:2] == ["Arguments", "Options"]
    assert names[-1] == "Output"
    assert {"Annotation", "Training", "Tags only", "Points only", "Masks only"} < set(names)
    assert " --mpp " in groups["Options"]
    assert " --complete " in groups["Points only"]


def test_an_unknown_option_prints_the_usage():
    code, stdout, said, _ = start("sgement")
    assert code == 2
    assert not stdout
    assert "No such command" in "".join(said)
    assert "Traceback" not in "".join(said)


def test_an_input_error_is_one_sentence_and_exit_code_2():
    code, stdout, said, _ = start("models", "show", "nowhere")
    assert code == 2
    assert not stdout
    assert len(said) == 1
    assert said[0].startswith("hsn: the model must be a trained folder or one of ")


def test_other_errors_are_not_hidden(monkeypatch):
    from typer.testing import CliRunner

    from hsn.cli import app

    def broken():
        raise ValueError("a fault of hsn itself")

    monkeypatch.setattr("hsn.models.available", broken)
    result = CliRunner().invoke(app, ["models", "list"])
    assert isinstance(result.exception, ValueError)


@pytest.mark.slow
def test_quiet_commands_print_only_the_result(tmp_path, rng):
    """Run real processes, because backends write to stderr below Python."""
    from hsn.images.read import write

    for k in range(4):
        write(tmp_path / "study" / "ab"[k % 2] / f"{k}.png", rng.integers(0, 256, (32, 32, 3), "uint8"))
    commands = {
        "fit": ["study", "--mpp", "0.5", "--out", "mine", "--net", "m4", "--width", "0.05", "--epochs", "1",
                "--validation", "0.5"],
        "segment": ["study/a", "--model", "mine", "--out", "out"],
    }  # fmt: skip
    for name, arguments in commands.items():
        command = [sys.executable, "-m", "hsn", name, *arguments, "--quiet", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False,
                              env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "import hsn, numpy; hsn.segment(numpy.full((48, 48, 3), 200, numpy.uint8), 'glas-tags')",
        "import sys; sys.argv = ['hsn', 'doctor']; from hsn.cli import main; main()",
        "from hsn.nets import unet; unet.build(2)",
    ],
)
def test_no_process_shows_log_lines_of_tensorflow(code):
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=True)
    assert done.stderr == ""


def test_a_backend_that_is_not_installed_is_one_sentence_with_a_hint(monkeypatch, raises_code):
    installed = keras_start.package_version
    monkeypatch.setattr(keras_start, "package_version", lambda name: name != "torch" and installed(name))
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with raises_code("backend-missing") as caught:
        keras_start.start_keras()
    assert 'pip install "hsn[torch]" or set KERAS_BACKEND=tensorflow' in str(caught.value)
