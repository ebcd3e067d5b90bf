"""The HistoSegNet release, as its users have it, made a trained folder."""

import os
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from ...errors import refuse
from ...models import archive, folders
from ...models.card import Card, Normalization
from ...taxonomies import ADP_OUTPUTS
from . import legacy

NAME = "histonet-x1.7-adp"
STEM = "histonet_X1.7_clrdecay_5"  # "X1.7" = VGG16 cut after block 3, "5" = the label level with 51 outputs

# Masks of the release are bitmaps: the whole unpacks to some 500 MB.
MAX_BYTES = 8 * 2**30

MPP = 0.25 * 1088 / 224  # um/px: patches of 1088 px at 0.25 um/px, shrunk to the net's 224 px

# file of CRF settings -> taxonomy that they are for
_CRF_FILES = {
    "morph_optimal_pcc.npy": "adp-morph",
    "func_optimal_pcc.npy": "adp-func",
    "glas_optimal_pcc.npy": "glas",
}
# Scale at which the CRF's pixels are meant: ADP's were tuned at the net's, GlaS's at that of the images.
_TUNED_MPP = {"adp-morph": MPP, "adp-func": MPP}
_MODEL_FILES = tuple(f"{STEM}{suffix}" for suffix in (".json", ".h5", ".mat"))
FILES = (*_MODEL_FILES, *_CRF_FILES)

_MEMBER = re.compile(r"((?:[^/]+/)?)(data|img|gt)/(.+)")


def import_release(path, *, home=None, data_to=None):
    """Make a trained folder of the HistoSegNet release.

    Parameters
    ----------
    path : path
        The release's zip archive as downloaded, or a folder: the unpacked release or its `data` folder.
    home : path, optional
        Where to put the trained folder; by default where `load` finds it by name.
    data_to : path, optional
        Below which folder to unpack the images (`img`) and truth (`gt`) of the archive; by default they are
        left alone.

    Returns
    -------
    pathlib.Path
        The trained folder.

    Raises
    ------
    InputError
        If a file is missing, damaged, of another shape, or hostile. Nothing is executed, and nothing
        half-written stays.

    Notes
    -----
    Scores are not copied onto the card: `hsn evaluate` measures them.
    """
    path, home = Path(path), folders.home() if home is None else Path(home)
    if path.is_dir():
        if data_to is not None:
            refuse("`data_to` is for archives", expected="a zip archive", received=f"the folder {path}",
                   remedy="use the images where they are, or copy them")  # fmt: skip
        return _import_folder(_data_folder(path, path), home, path.name)
    try:
        return _import_archive(path, home, None if data_to is None else Path(data_to))
    except OSError as error:
        refuse(f"{path} cannot be unpacked", expected="room and leave to write",
               received=f"{error.strerror}: {error.filename}",
               remedy="choose another place or make room")  # fmt: skip


def _import_archive(path, home, data_to):
    """Unpack into temporary folders and look at everything, then put it in its place."""
    with ExitStack() as stack:
        release = stack.enter_context(archive.opened(path, max_bytes=MAX_BYTES))
        names = [member.filename for member in release.infolist() if not member.is_dir()]
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        archive.unpack(
            release, [n for n in _members(names, {"data"}) if PurePosixPath(n).name in FILES], data
        )
        if data_to is not None:
            data_to.mkdir(parents=True, exist_ok=True)
            pictures = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=data_to, prefix=".new-")))
            wanted = _members(names, {"img", "gt"})
            archive.unpack(release, wanted, pictures)
        trained = _import_folder(_data_folder(data, path), home, path.name)
        if data_to is not None:
            _move(pictures, wanted, data_to)
    return trained


def _members(names, rooms):
    """Members of the release's folders `rooms`, which may lie in one folder more."""
    return [name for name in names if (match := _MEMBER.fullmatch(name)) and match[2] in rooms]


def _move(source, names, target):
    """Move unpacked members below `target`, without the outer folder that some archives have."""
    for name in names:
        match = _MEMBER.fullmatch(name)
        place = target / match[2] / match[3]
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source / name, place)


def _data_folder(path, origin):
    """The folder of the release's data files: `path` itself, its `data`, or the `data` of a subfolder."""
    tried = [path / "data", path, *sorted(path.glob("*/data"))]
    best = max(tried, key=lambda folder: sum((folder / name).is_file() for name in FILES))
    missing = [name for name in FILES if not (best / name).is_file()]
    if missing:
        refuse(f"{origin} is not the whole release", expected=f"{', '.join(FILES)} in its folder `data`",
               received=f"no {', '.join(missing)}",
               remedy="get the release's archive again and give it unchanged")  # fmt: skip
    return best


def _import_folder(data, home, origin):
    """Read all files of the release, then write the trained folder."""
    from ...nets import histonet

    architecture, weights, thresholds = (data / name for name in _MODEL_FILES)
    legacy.check_architecture(architecture)
    thresholds = legacy.read_thresholds(thresholds, len(ADP_OUTPUTS))
    refinement = {name: legacy.read_crf(data / file) for file, name in _CRF_FILES.items()}
    net = histonet.x1_7(len(ADP_OUTPUTS))
    legacy.read_weights(weights, net)
    card = Card(
        name=NAME,
        supervision="tags",
        classes=ADP_OUTPUTS,
        thresholds=thresholds,
        mpp=MPP,
        taxonomies=tuple(refinement),
        normalization=Normalization(mean=histonet.MEAN, std=histonet.STD),
        source=f"HistoSegNet (Chan et al., ICCV 2019), release hsn_v1, {STEM}; imported from {origin}",
        licence="The release's code is MIT; the Atlas of Digital Pathology, from which the net learned, is "
        "for non-commercial research under its own agreement.",
        data="Atlas of Digital Pathology: 14,134 patches of 100 slides, tagged with up to 57 tissues",
        stain="mostly H&E, diverse",
        notes=f"sha256 of the release's weights: {folders.checksum(weights)}. 34 of the 50 ADP tuning "
        "patches were among its training patches, so scores on them are optimistic.",
    )
    config = {
        "classes": list(ADP_OUTPUTS),
        "thresholds": list(thresholds),
        "taxonomies": list(refinement),
        "mpp": MPP,
        "image_mpp": MPP,
        "window_px": histonet.INPUT_PX,
        "mean": histonet.MEAN,
        "std": histonet.STD,
        "features": histonet.features_of(net).name,
        "logits": histonet.logits_of(net).name,
        "cam_norm": "per_class",
        "subtraction": "order_free",
        "refinement": {name: numbers | {"mpp": _TUNED_MPP.get(name)} for name, numbers in refinement.items()},
    }
    folders.save(home / NAME, net, card, config)
    return home / NAME
