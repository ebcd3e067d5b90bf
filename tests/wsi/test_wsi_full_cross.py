"""The whole cross: slides, executors, numbers of workers, blocks, fresh or killed and resumed; equal bytes."""

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hsn.files import SAMPLE
from hsn.images.slide import open_slide
from hsn.wsi.executors import executor_for
from hsn.wsi.run import Options, segment_slide

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets of workers that are killed
]
BLOCKS_PX = (512, 1024, 2048)
CASES = [("processes", 1), ("processes", 2), ("processes", 3), ("dask", 1), ("dask", 2), ("dask", 3)]
SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_wsi_full_cross import start
from hsn.images.slide import open_slide
from hsn.wsi.run import Options, segment_slide
if __name__ == "__main__":
    slide, model, out, kind, workers, block_px = sys.argv[2:]
    with start(kind, int(workers)) as executor:
        segment_slide(
            open_slide(slide), model, out, options=Options(block_px=int(block_px)), executor=executor
        )
"""


def start(kind, workers):
    """Return an executor."""
    if kind == "processes":
        return executor_for(workers)
    from hsn.wsi.cluster import DaskExecutor

    return DaskExecutor(cluster={"kind": "local", "workers": workers})


def stored_bytes(result):
    """All bytes of the label store, and those of the table and the outlines."""
    arrays = result.probabilities[:].tobytes(), result.instances[:].tobytes()
    files = (result.summary["files"][kind] for kind in ("csv", "geojson"))
    return [*arrays, *(Path(file).read_bytes() for file in files)]


def kill(script, out, *arguments):
    """Run the script, and kill it and its workers after some windows; return how many are done."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, script, Path(__file__).parent, *arguments[:2], out, *arguments[2:]]
    process = subprocess.Popen(
        list(map(str, command)), env=environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
    done = functools.partial(out.glob, "done/windows/*.*")
    while process.poll() is None and not list(done()):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return len(list(done()))


@pytest.fixture(scope="module", params=["drawn", "real"])
def case(request, color_model, tmp_path_factory):
    """A slide, the folder of a net, and the bytes of the slide in one block of one process."""
    slide = request.getfixturevalue("drawn").path if request.param == "drawn" else SAMPLE
    model = color_model()
    whole = segment_slide(
        open_slide(slide), model, tmp_path_factory.mktemp("whole"), options=Options(block_px=4096)
    )
    assert whole.summary["objects"] > 500
    return slide, model, stored_bytes(whole)


@pytest.mark.parametrize(("kind", "workers"), CASES)
def test_bytes_do_not_depend_on_blocks_workers_executors_and_kills(kind, workers, case, tmp_path):
    if kind == "dask":
        pytest.importorskip("distributed", reason='needs pip install "hsn[cluster]"')
    slide, model, expected = case
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with start(kind, workers) as executor:
        for block_px in BLOCKS_PX:
            for killed in (False, True):
                out = tmp_path / f"{block_px} {killed}"
                if killed:
                    assert kill(script, out, slide, model, kind, workers, block_px) > 0
                    assert not (out / "exports").exists()
                result = segment_slide(
                    open_slide(slide), model, out, options=Options(block_px=block_px), executor=executor
                )
                assert stored_bytes(result) == expected, (block_px, killed)
