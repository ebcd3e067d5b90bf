"""Find the objects that were not clicked: a first stage of training, then new targets.

Where only some objects are clicked, nothing says where a clicked object ends, or whether the color of nuclei elsewhere
is an object. After a first stage on the clicks alone, the net's objects and the clicks together are taken for all
objects: their Voronoi cells and color clusters become targets, as in the method for clicks.

The folder of the stage has its training; `found/NAME.csv`, the centers of each image at the net's scale; and
`found.json`, their numbers, which is written last and marks the stage as done.
"""

from ...annotations import points as point_files
from ...files import write_json
from ...objects.labeling import label_instances
from ...prediction.tiling import predict_tiled
from ...progress import track
from .target_maps import centers

FOLDER, BEST, COUNTS = "clicks", "best.weights.h5", "found.json"


def has_partial_clicks(annotation):
    """Return whether an image has clicks, and a part in which maybe not all objects are clicked.

    Examples
    --------
    >>> from hsn.annotations.annotation import Annotation, Point
    >>> has_partial_clicks(Annotation(points=(Point(1.0, 1.0),))), has_partial_clicks(Annotation())
    (True, False)
    """
    everywhere = annotation.complete_region is None and not isinstance(annotation.objects, tuple)
    return bool(annotation.points) and not everywhere


def find_others(net, samples, config, folder, train, *, progress=None):
    """Train the first stage, and write the centers of the objects that it finds; a finished stage is read.

    Parameters
    ----------
    net : keras.Model
        Has the weights of the stage at the end.
    samples : sequence of TrainingImage
        Those with partial clicks.
    config : Config
    folder : path
    train : callable
        ``folder -> None``: trains the net.
    progress : callable, optional
    """
    if (folder / COUNTS).exists():
        net.load_weights(folder / BEST)
        return
    train(folder)
    counts, head = {}, config.heads[0]
    for sample in track(samples, progress, "finding objects that were not clicked"):
        probabilities = predict_tiled(net, sample.load().pixels, config.normalization, config.tiling)
        instances = label_instances(
            probabilities[..., head.start : head.stop], config.postprocess, mpp=config.mpp
        )
        found = centers(instances)
        counts[sample.name] = len(found)
        point_files.write(folder / "found" / f"{sample.name}.csv", found)
    write_json(folder / COUNTS, counts)


def read_found(folder, name):
    """Return the centers that the first stage found in an image, float (M, 2), or None without a file."""
    path = folder / "found" / f"{name}.csv"
    return point_files.read(path) if path.exists() else None
