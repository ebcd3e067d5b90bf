"""Dask on a real batch system: a SLURM of one node. A job that is cancelled costs nothing."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("dask_jobqueue", reason='needs pip install "hsn[cluster]"')

from hsn.images.slide import open_slide
from hsn.wsi.cluster import DaskExecutor
from hsn.wsi.run import Options, segment_slide

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Start a SLURM; skip where it cannot be started."""
    if os.geteuid() or not all(map(shutil.which, ("slurmctld", "slurmd", "sbatch", "munged"))):
        pytest.skip("needs root, and Debian's packages slurm-wlm and munge")
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run(
        ["bash", Path(__file__).parent / "slurm.sh", folder], capture_output=True, text=True
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        try:
            if started.returncode:
                pytest.skip(f"SLURM does not start here: {started.stderr.strip()[-200:]}")
            yield folder
        finally:
            for pid in folder.glob("run/*.pid"):
                os.kill(int(pid.read_text()), signal.SIGTERM)


def jobs():
    """Return the ids of the running jobs."""
    listed = subprocess.run(
        ["squeue", "--noheader", "--states=R", "--format=%i"], capture_output=True, text=True
    )
    return listed.stdout.split()


def test_a_slide_is_finished_although_a_job_is_cancelled(slurm, small_slide, color_model, tmp_path):
    options = {
        "queue": "main", "cores": 1, "processes": 1, "memory": "1900MB", "walltime": "00:20:00", "interface": "lo",
        "local_directory": str(tmp_path), "log_directory": str(tmp_path / "logs"),
    }  # fmt: skip
    model, cancelled = color_model(), []

    def cancel(event):
        if event.stage == "separating objects" and event.done > 2 and not cancelled:
            cancelled.extend(jobs()[:1])
            subprocess.run(["scancel", *cancelled], check=True)

    with DaskExecutor(cluster={"kind": "slurm", "workers": 2, "options": options}) as executor:
        deadline = time.monotonic() + 300
        while len(jobs()) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(jobs()) == 2
        result = segment_slide(
            open_slide(small_slide), model, tmp_path / "out", options=Options(block_px=256), executor=executor,
            progress=cancel,
        )  # fmt: skip
    assert len(cancelled) == 1
    expected = segment_slide(open_slide(small_slide), model, tmp_path / "here")
    assert result.summary["objects"] == expected.summary["objects"] > 20
    assert (result.instances[:] == expected.instances[:]).all()
