"""One run of a method or of `segment` with tiny inputs, in a process of its own: `killed_run.py NAME OUT MODEL`.

Prints "ready" when the imports are done and the work begins. The test kills it at a random time after that.
"""

import os
import sys
from pathlib import Path

for _name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # sums in one order: results are equal to the bit
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _segment(out, model):
    import numpy as np

    from hsn.images.read import write
    from hsn.supervision import open_model
    from hsn.workflows.segmentation import segment_all

    images = out.parent / "images"
    if not images.exists():
        rng = np.random.default_rng(0)
        for k in range(12):
            write(images.with_name("new") / f"{k}.png", rng.integers(0, 256, (64, 64, 3), np.uint8))
        images.with_name("new").rename(images)
    open_model(model)
    print("ready", flush=True)
    segment_all(images, str(model), out, mpp=0.62)


def _fit(name, out):
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.run_functions_eagerly(True)
    from test_supervision_contract import CASES

    case = CASES[name]()
    net = case.build()
    print("ready", flush=True)
    case.fit(out, net=net)


if __name__ == "__main__":
    name, out, model = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if name == "segment":
        _segment(out, model)
    else:
        _fit(name, out)
