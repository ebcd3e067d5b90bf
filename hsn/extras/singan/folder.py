"""What a synthesis keeps: pairs, the nets that painted them, and the state of a run that is not done.

The folder explains itself: `about.json` says what lies in it, of which patch it was made, and by which numbers.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from ...annotations.label_files import write_labels
from ...errors import refuse
from ...files import atomic_write
from ...images.read import write
from ...instances import renumber
from ...models import keras_file

ABOUT, STATE, GENERATORS, PAIRS = "about.json", "state", "generators", "pairs"
WHAT = (
    "Synthetic pairs of hsn: pairs/images and pairs/labels (nuclei numbered from 1) are painted layouts of the nuclei"
    " in patch/, in the manner of patch/. generators/ are the nets that painted them, coarsest first. The terms of the"
    " patch hold for all of it."
)


class Folder:
    """Where a synthesis keeps what it has: pairs, generators, `about.json`, and the state of an unfinished run.

    Parameters
    ----------
    path : path
    image, instances : arrays
        The patch.
    settings : dict
        All that decides what is painted. A folder of other settings or of another patch is refused.
    """

    def __init__(self, path, image, instances, settings):
        self.path = Path(path)
        patch = hashlib.sha256(image.tobytes() + instances.astype("<i8").tobytes()).hexdigest()
        sizes = {"height": image.shape[0], "width": image.shape[1], "nuclei": len(np.unique(instances)) - 1}
        self.about = {"what": WHAT, "patch": {"sha256": patch, **sizes}, **json.loads(json.dumps(settings))}
        found = self._read()
        if found and {key: found.get(key) for key in self.about} != self.about:
            other = [key for key in self.about if found.get(key) != self.about[key]]
            refuse(f"{self.path} holds another synthesis", expected="the same patch and numbers",
                   received=f"other {', '.join(other)}", remedy="choose an empty folder")  # fmt: skip
        self.about = found or self.about
        if not found:
            write(self.path / "patch" / "image.png", image)
            write_labels(self.path / "patch" / "labels.png", renumber(instances)[0])
            self._write()

    def _read(self):
        """What `about.json` says; None in an empty folder."""
        if not self.path.exists() or not any(self.path.iterdir()):
            return None
        try:
            about = json.loads((self.path / ABOUT).read_text(encoding="utf-8"))
            return dict(about, what=about["what"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            refuse(f"{self.path} holds something else", expected="an empty folder, or a synthesis to go on with",
                   received=str(error) or type(error).__name__, remedy="choose an empty folder")  # fmt: skip

    def _write(self):
        with atomic_write(self.path / ABOUT) as temporary:
            temporary.write_text(json.dumps(self.about, indent=1) + "\n", encoding="utf-8")

    def state(self, level):
        """The file of a scale's state."""
        path = self.path / STATE / f"{level}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def recall(self, painter):
        """Give a painter the generators of a finished run; whether there is one."""
        amplitudes = self.about.get("amplitudes")
        if amplitudes is None:
            return False
        if not isinstance(amplitudes, list) or len(amplitudes) != len(painter.scales):
            refuse(f"{self.path / ABOUT} is damaged", expected=f"{len(painter.scales)} amplitudes", received=amplitudes,
                   remedy="choose an empty folder")  # fmt: skip
        for level, (scale, amplitude) in enumerate(zip(painter.scales, amplitudes, strict=True)):
            path = self.path / GENERATORS / f"{level}.keras"
            keras_file.check(path)
            scale.generator, scale.amplitude = keras_file.read(path), float(amplitude)
        return True

    def finish(self, painter, learned):
        """Write the generators and what was measured, and drop the states."""
        for level, scale in enumerate(painter.scales):
            with atomic_write(self.path / GENERATORS / f"{level}.keras") as temporary:
                keras_file.write(temporary, scale.generator)
        self.about |= {"amplitudes": [scale.amplitude for scale in painter.scales], "learned": learned}
        self._write()
        shutil.rmtree(self.path / STATE)

    def add(self, number, image, layout):
        """Write one pair."""
        write(self.path / PAIRS / "images" / f"{number:03d}.png", image)
        write_labels(self.path / PAIRS / "labels" / f"{number:03d}.png", layout)
