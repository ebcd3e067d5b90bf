"""Backends: shipped nets segment the same on each, and each trains every method.

A backend runs in a process of its own. Torch may live in another environment: `HSN_TORCH_PYTHON` names its Python.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
NETS = ("nuclei-masks", "nuclei-points", "glas-tags", "glas-tags-cam")
METHODS = ("tags", "points", "masks", "selected", "mixed")

SEGMENT = """
import sys
import keras, numpy as np
import hsn
assert keras.backend.backend() == sys.argv[1]
image = np.load(sys.argv[2])
results = {name: hsn.segment(image, name) for name in sys.argv[4:]}
np.savez(sys.argv[3], **{name: result.probabilities for name, result in results.items()})
"""

FIT = """
import sys
import keras, numpy as np
import hsn
from hsn import taxonomies
from hsn.annotations.annotation import Annotation, Point, Tag
from hsn.annotations.sampling import points_from_instances
from hsn.data import synthetic
from hsn.nets import encoder_unet, histonet, unet
from hsn.supervision import masks, mixed, points, selected, tags

backend, method, out = sys.argv[1:]
assert keras.backend.backend() == backend
drawn = [synthetic.draw_tissue(seed, (64, 64), mpp=0.31) for seed in (0, 5, 4)]
images, instances = [d.image for d in drawn], [d.instances for d in drawn]
common = {"train.epochs": 1, "train.steps": 1, "train.batch_size": 2, "train.crop_px": 32, "train.validation": (0,)}
scale = {"mpp": 0.31, "image_mpp": 0.31, "tiling.halo_px": 8}
if method == "tags":
    glas = taxonomies.GLAS
    net = histonet.m4(2, width=0.1, input_px=None, momentum=0.9, seed=0)
    config = tags.Config(classes=glas.names, thresholds=(0.5, 0.5), taxonomies=(glas,), mpp=0.31, image_mpp=0.31,
                         window_px=32, cam_layers=("activation_4", "dense_1"))
    common.pop("train.steps")
    annotations = np.array([[1, 0], [0, 1], [1, 1]])
elif method == "points":
    net = encoder_unet.build(3, encoder_stride=4, decoder=(4,), dropout=0.0, seed=0)
    config = points.preset("cpu").replace(rounds=0, **scale)
    common = {"train.steps": 1, "train.crop_px": 32, "train.validation": (0,), "detection_epochs": 1,
              "train.epochs": 1, "object_epochs": 1}
    annotations = [points_from_instances(each, place="inside") for each in instances]
else:
    net = unet.build(3, depth=2, width=4, batch_norm=True, seed=0)
    config = getattr(hsn.supervision, method).preset("cpu").replace(**scale)
    annotations = instances
    if method == "selected":
        common |= {"rounds": 1, "synthetic": 0, "min_score": 0.0, "min_pseudo_area_um2": 0.0}
        images, annotations = images[:2] + images[2:], instances[:2] + [None]
    if method == "mixed":
        common |= {"pseudo_start": 0.0, "train.warmup_steps": 0}
        clicks = tuple(Point(*click) for click in points_from_instances(instances[1], place="inside").tolist())
        annotations = [Annotation(objects=instances[0]), Annotation(points=clicks, tags=(Tag("Nucleus", True),)),
                       Annotation(objects=instances[2])]
history = getattr(hsn.supervision, method).fit(net, images, annotations, config.replace(**common), out=out)
assert np.isfinite(history.column("loss")).all()
result = hsn.segment(images[0], out)
np.savez(out + "/segmented.npz", probabilities=result.probabilities)
"""


def python_of(backend):
    """The Python that can import a backend; skip if there is none."""
    if importlib.util.find_spec(backend):
        return sys.executable
    other = os.environ.get("HSN_TORCH_PYTHON") if backend == "torch" else None
    if not other:
        pytest.skip(f"{backend} cannot be imported; HSN_TORCH_PYTHON may name a Python that has torch")
    return other


def run(backend, code, *arguments):
    """Run code on a backend in another process."""
    environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [python_of(backend), "-c", code, backend, *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_shipped_nets_segment_the_same_on_each_backend(backend, tmp_path, ihc):
    image = ihc[:96, :112]
    np.save(tmp_path / "image.npy", image)
    run(backend, SEGMENT, tmp_path / "image.npy", tmp_path / "there.npz", *NETS)
    import hsn

    with np.load(tmp_path / "there.npz") as there:
        for name in NETS:
            here = hsn.segment(image, name).probabilities
            np.testing.assert_allclose(there[name], here, atol=1e-4, err_msg=name)
            assert here.std() > 0


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_each_backend_trains_each_method_and_this_one_opens_the_net(backend, method, tmp_path):
    run(backend, FIT, method, tmp_path / "net")
    import hsn
    from hsn.data import synthetic

    here = hsn.segment(synthetic.draw_tissue(0, (64, 64), mpp=0.31).image, tmp_path / "net").probabilities
    with np.load(tmp_path / "net" / "segmented.npz") as there:
        np.testing.assert_allclose(there["probabilities"], here, atol=1e-4)
