"""Folder of a synthesis: pairs, generators, and the state of an unfinished run.

`about.json` describes the contents, the patch and the settings.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from ...annotations.label_files import write_labels
from ...errors import InputError
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


class SynthesisFolder:
    """Folder with pairs, generators, `about.json`, and the state of an unfinished run.

    Parameters
    ----------
    path : path
    image, instances : arrays
        The patch.
    settings : dict
        All settings of the synthesis.

    Raises
    ------
    InputError
        "singan-other-run" if the folder is of another patch or of other settings; "singan-folder-not-empty" if it holds
        other files.
    """

    def __init__(self, path, image, instances, settings):
        self.path = Path(path)
        patch = hashlib.sha256(image.tobytes() + instances.astype("<i8").tobytes()).hexdigest()
        sizes = {"height": image.shape[0], "width": image.shape[1], "nuclei": len(np.unique(instances)) - 1}
        self.about = {"what": WHAT, "patch": {"sha256": patch, **sizes}, **json.loads(json.dumps(settings))}
        found = self._read()
        if found and {key: found.get(key) for key in self.about} != self.about:
            other = [key for key in self.about if found.get(key) != self.about[key]]
            raise InputError(
                "singan-other-run",
                f"{self.path} must hold a synthesis of the same patch and settings",
                got=f"other {', '.join(other)}",
                hint="choose an empty folder",
            )
        self.about = found or self.about
        if not found:
            write(self.path / "patch" / "image.png", image)
            write_labels(self.path / "patch" / "labels.png", renumber(instances)[0])
            self._write()

    def _read(self):
        """Return the contents of `about.json`, or None in an empty folder."""
        if not self.path.exists() or not any(self.path.iterdir()):
            return None
        try:
            about = json.loads((self.path / ABOUT).read_text(encoding="utf-8"))
            return dict(about, what=about["what"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                "singan-folder-not-empty",
                f"{self.path} must be empty, or hold a synthesis to continue",
                got=str(error) or type(error).__name__,
                hint="choose an empty folder",
            ) from None

    def _write(self):
        with atomic_write(self.path / ABOUT) as temporary:
            temporary.write_text(json.dumps(self.about, indent=1) + "\n", encoding="utf-8")

    def state_path(self, level):
        """Return the path of the state of a scale."""
        path = self.path / STATE / f"{level}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def load_generators(self, pyramid):
        """Load the generators of a finished run into a pyramid; return False for an unfinished run."""
        amplitudes = self.about.get("amplitudes")
        if amplitudes is None:
            return False
        if not isinstance(amplitudes, list) or len(amplitudes) != len(pyramid.scales):
            raise InputError(
                "singan-about-damaged",
                f"{self.path / ABOUT} must have {len(pyramid.scales)} amplitudes",
                got=amplitudes,
                hint="choose an empty folder",
            )
        for level, (scale, amplitude) in enumerate(zip(pyramid.scales, amplitudes, strict=True)):
            path = self.path / GENERATORS / f"{level}.keras"
            keras_file.check(path)
            scale.generator, scale.amplitude = keras_file.read(path), float(amplitude)
        return True

    def finish(self, pyramid, history):
        """Write the generators and the history, and remove the states."""
        for level, scale in enumerate(pyramid.scales):
            with atomic_write(self.path / GENERATORS / f"{level}.keras") as temporary:
                keras_file.write(temporary, scale.generator)
        self.about |= {"amplitudes": [scale.amplitude for scale in pyramid.scales], "learned": history}
        self._write()
        shutil.rmtree(self.path / STATE)

    def add_pair(self, number, image, layout):
        """Write one pair."""
        write(self.path / PAIRS / "images" / f"{number:03d}.png", image)
        write_labels(self.path / PAIRS / "labels" / f"{number:03d}.png", layout)
