"""Report: a trained net over the images of a data set, scored after each stage, with everything written down.

Of a net that learned from tags the stages are those of HistoSegNet's ablation (Chan et al., ICCV 2019): the raw
Grad-CAM, after inter-class adjustment, after the dense CRF. Any other net has one, its prediction. Files have the
names of the release.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from ..annotations.colors import to_colors
from ..annotations.instances import objects_of
from ..annotations.label_files import MOST_IN_PNG, write_labels
from ..data.sample import Sample
from ..errors import InputError
from ..images.read import write as write_image
from ..images.tiles import enlarge
from ..supervision import method_of, open_model
from ..taxonomies import Taxonomy
from . import figures
from . import tally as tallies_of
from .overlay import painted
from .page import summary
from .tally import Tally

# The release's name of each stage, and ours.
STAGES = {"GradCAM": "cam", "Adjust": "adjusted", "CRF": "refined"}


@dataclass(frozen=True)
class Report:
    """What came of a run.

    Attributes
    ----------
    tallies : dict of str to Tally
        Counts by name of taxonomy; empty for one that no image had truth in.
    files : tuple of pathlib.Path
        Everything that was written.
    pages : tuple of pathlib.Path
        Those of `files` that are one-page summaries.
    failures : tuple of (str, str)
        Images that could not be used, and why.
    """

    tallies: dict[str, Tally]
    files: tuple[Path, ...]
    pages: tuple[Path, ...]
    failures: tuple[tuple[str, str], ...]

    def __str__(self):
        scored = {name: tally for name, tally in self.tallies.items() if tally.images}
        lines = [
            f"{name}, {stage}, {tally.images} images\n{scores}"
            for name, tally in scored.items()
            for stage, scores in tally.scores().items()
        ]
        return "\n\n".join(lines)


def report(model, samples, *, out, taxonomies=None, size="image", unlisted="ignore", show=True):
    """Segment images, score every stage where there is truth, and write tables and pictures.

    Parameters
    ----------
    model : str, path or hsn.models.Model
        As for `hsn.segment`.
    samples : sequence of hsn.data.sample.Sample
        With truth or without.
    out : path
        A folder; see Notes.
    taxonomies : sequence of str, optional
        Which of the net's label spaces. By default those that the samples have truth in, or the net's first.
    size : {"image", "full"}
    unlisted : {"ignore", "false_alarms"}
        See `Tally`.
    show : bool
        Whether to show a progress bar, on stderr.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If there is no such net or taxonomy. An image that cannot be used stops nothing: `failures` names it.

    Notes
    -----
    In `out`: the tables and confusion pictures of `hsn.reports.tally.write`. In `out/<taxonomy>`, a file per image:
    `ablative_<stage>` where there are several, and `patch` (colour masks; the latter is the final one), `overlay`,
    `summary` (one page), and, where the samples or the net number the objects of a class, `single_<class>` and
    `multi_<class>` (label images).
    """
    model = open_model(model)
    method, config = method_of(model)
    chosen = [config.taxonomy(name) for name in taxonomies or _in_truth(samples, config) or [None]]
    tallies = {taxonomy.name: Tally(taxonomy, size, unlisted) for taxonomy in chosen}
    out, pages, files, failures = Path(out), [], [], []
    console = Console(stderr=True)
    for sample in track(samples, "segmenting", console=console, disable=not (show and console.is_terminal)):
        try:
            image = sample.image()
            truths = {t.name: sample.truth(t) for t in chosen if sample.has_truth(t)}
            for seen in _seen(method, model.net, image, config, chosen, sample.mpp):
                taxonomy = seen.taxonomy
                truth, known = truths.get(taxonomy.name, (None, None))
                if truth is not None:
                    tallies[taxonomy.name].add(truth, seen.labels, known=known)
                pictures = _Pictures(sample, image, seen, truth, known)
                files += pictures.masks(out / taxonomy.name)
                files += pictures.objects(out / taxonomy.name, object_class(samples, taxonomy))
                pages.append(pictures.summary(out / taxonomy.name, config.image_mpp))
        except InputError as error:
            failures.append((sample.name, str(error)))
    tables = tallies_of.write(out, tallies.values())
    return Report(tallies, (*tables, *pages, *files), tuple(pages), tuple(failures))


@dataclass(frozen=True)
class _Seen:
    """What a net says of an image in one taxonomy: labels by stage, evidence, and objects if it tells these."""

    taxonomy: Taxonomy
    labels: dict
    evidence: np.ndarray
    instances: np.ndarray | None = None


def _seen(method, net, image, config, chosen, mpp):
    """A `_Seen` for each of the taxonomies."""
    if hasattr(method, "all_stages"):
        for stages in method.all_stages(net, image, config, taxonomies=chosen, mpp=mpp):
            labels = {stage: labels_at(stages, inner, image.shape[:2]) for stage, inner in STAGES.items()}
            yield _Seen(stages.taxonomy, labels, enlarge(stages.adjusted, image.shape[:2]))
        return
    for taxonomy in chosen:
        result = method.segment(net, image, config, taxonomy=taxonomy.name, mpp=mpp)
        yield _Seen(result.taxonomy, {"prediction": result.labels}, result.evidence, result.instances)


def _in_truth(samples, config):
    """Names of the net's taxonomies in which some sample has truth."""
    return [t.name for t in config.taxonomies if any(sample.has_truth(t) for sample in samples)]


def labels_at(stages, stage, shape):
    """Labels of a stage at the size of the image: maps are enlarged before the classes are compared."""
    return replace(stages, **{stage: enlarge(getattr(stages, stage), shape)}).labels(stage)


def object_class(samples, taxonomy):
    """The class whose objects the samples number, or None: it is worth numbering in the prediction too."""
    return next((s.instances_of for s in samples if s.instances_of in taxonomy.names), None)


@dataclass(frozen=True)
class _Pictures:
    """One image with all that is known of it, and how it is written."""

    sample: Sample
    image: np.ndarray
    seen: _Seen
    truth: np.ndarray | None = None
    known: np.ndarray | None = None

    @property
    def _name(self):
        return self.sample.image_path.stem

    def masks(self, folder):
        """Colour masks of each stage and of the last, and an overlay of the last."""
        taxonomy, stages = self.seen.taxonomy, self.seen.labels
        final = list(stages.values())[-1]
        several = stages if len(stages) > 1 else {}
        pictures = {f"ablative_{stage}": to_colors(labels, taxonomy) for stage, labels in several.items()}
        pictures["patch"] = to_colors(final, taxonomy)
        pictures["overlay"] = painted(self.image, final, taxonomy, self.seen.instances)
        for kind, picture in pictures.items():
            path = folder / kind / f"{self._name}.png"
            write_image(path, picture)
            yield path

    def objects(self, folder, name):
        """Label images of one class, whole and in numbered objects; nothing if no one numbers any."""
        taxonomy, final = self.seen.taxonomy, list(self.seen.labels.values())[-1]
        told = self.seen.instances
        if name is None and told is None:
            return
        name = taxonomy.names[1] if name is None else name
        tissue = taxonomy.classes[taxonomy.index(name)]
        word = (tissue.meaning or tissue.name).replace(" ", "_")
        mask = final == taxonomy.index(name)
        numbered = objects_of(mask) if told is None else told
        for kind, labels in (("single", mask), ("multi", numbered)):
            # The release writes 8-bit BMP, in which no number above 255 survives.
            suffix = ".bmp" if labels.max() <= 255 else ".png" if labels.max() <= MOST_IN_PNG else ".tif"
            path = folder / f"{kind}_{word}" / f"{self._name}{suffix}"
            write_labels(path, labels)
            yield path

    def _true_objects(self):
        """Objects of the truth, where the net tells objects apart too."""
        if self.seen.instances is None or self.truth is None or self.sample.instances_path is None:
            return None
        return self.sample.instances()

    def summary(self, folder, mpp):
        """One page: image, truth, evidence, and the labels of every stage."""
        path = folder / "summary" / f"{self._name}.png"
        figure = summary(
            self.image,
            self.seen.labels,
            self.seen.taxonomy,
            truth=self.truth,
            known=self.known,
            evidence=self.seen.evidence,
            instances=self.seen.instances,
            true_instances=self._true_objects(),
            mpp=self.sample.mpp or mpp,
            title=self.sample.name,
        )
        figures.write(figure, path)
        return path
