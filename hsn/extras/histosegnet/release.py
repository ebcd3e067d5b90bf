"""Convert the HistoSegNet release into a trained folder."""

import os
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from ...errors import InputError
from ...limits import RELEASE_BYTES
from ...models import archive, folders
from ...models.card import Card, Normalization
from ...taxonomies import ADP_OUTPUTS
from . import legacy

NAME = "histonet-x1.7-adp"
STEM = "histonet_X1.7_clrdecay_5"  # "X1.7" = VGG16 cut after block 3, "5" = the label level with 51 outputs

# The release's masks are bitmaps: it unpacks to some 500 MB.

MPP = 0.25 * 1088 / 224  # um/px: patches of 1088 px at 0.25 um/px, shrunk to the net's 224 px

# file of CRF settings -> its taxonomy
_CRF_FILES = {
    "morph_optimal_pcc.npy": "adp-morph",
    "func_optimal_pcc.npy": "adp-func",
    "glas_optimal_pcc.npy": "glas",
}
# Scale of the CRF's pixels: ADP's were tuned at the net's scale, GlaS's at the scale of the images.
_TUNED_MPP = {"adp-morph": MPP, "adp-func": MPP}
_MODEL_FILES = tuple(f"{STEM}{suffix}" for suffix in (".json", ".h5", ".mat"))
FILES = (*_MODEL_FILES, *_CRF_FILES)

_MEMBER = re.compile(r"((?:[^/]+/)?)(data|img|gt)/(.+)")


def import_release(
    path: str | os.PathLike[str],
    *,
    home: str | os.PathLike[str] | None = None,
    data_to: str | os.PathLike[str] | None = None,
) -> Path:
    """Convert the HistoSegNet release into a trained folder.

    Parameters
    ----------
    path : path
        The release's zip archive, or a folder: the unpacked release or its `data` folder.
    home : path, optional
        Folder for the trained folder. Default: where `hsn.load` finds it by name.
    data_to : path, optional
        Folder for the archive's images (`img`) and truth (`gt`). Default: they are not unpacked.

    Returns
    -------
    pathlib.Path
        The trained folder.

    Raises
    ------
    InputError
        "release-incomplete" for a missing file; "release-data-to" if `data_to` is given for a folder;
        "folder-not-writable"; or an error of one of the files. Nothing is executed, and no partial result stays.

    Notes
    -----
    The card has no scores; `hsn evaluate` measures them.
    """
    path, home = Path(path), folders.home() if home is None else Path(home)
    if path.is_dir():
        if data_to is not None:
            raise InputError(
                "release-data-to",
                "`data_to` must be given with a zip archive",
                got=f"the folder {path}",
                hint="use the images where they are, or copy them",
            )
        return _import_folder(_data_folder(path, path), home, path.name)
    try:
        return _import_archive(path, home, None if data_to is None else Path(data_to))
    except OSError as error:
        raise InputError(
            "folder-not-writable",
            f"{path} must be unpacked where there is room and permission to write",
            got=f"{error.strerror}: {error.filename}",
            hint="choose another place or make room",
        ) from None


def _import_archive(path: Path, home: Path, data_to: Path | None) -> Path:
    """Unpack into temporary folders and check everything, then move it into place."""
    with ExitStack() as stack:
        release = stack.enter_context(archive.opened(path, max_bytes=RELEASE_BYTES))
        names = [member.filename for member in release.infolist() if not member.is_dir()]
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        archive.unpack(
            release, [n for n in _members(names, {"data"}) if PurePosixPath(n).name in FILES], data
        )
        if data_to is not None:
            data_to.mkdir(parents=True, exist_ok=True)
            pictures = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=data_to, prefix=".new-")))
            members = _members(names, {"img", "gt"})
            archive.unpack(release, members, pictures)
        trained = _import_folder(_data_folder(data, path), home, path.name)
        if data_to is not None:
            _move(pictures, members, data_to)
    return trained


def _members(names: list[str], folders: set[str]) -> list[str]:
    """Return the members of some of the release's folders, with or without an outer folder."""
    return [name for name in names if (match := _MEMBER.fullmatch(name)) and match[2] in folders]


def _move(source: Path, names: list[str], target: Path) -> None:
    """Move unpacked members below `target`, without an outer folder."""
    for name in names:
        place = target / _MEMBER.sub(r"\2/\3", name)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source / name, place)


def _data_folder(path: Path, origin: Path) -> Path:
    """Return the folder of the release's data files: `path` itself, its `data`, or the `data` of a subfolder."""
    tried = [path / "data", path, *sorted(path.glob("*/data"))]
    best = max(tried, key=lambda folder: sum((folder / name).is_file() for name in FILES))
    missing = [name for name in FILES if not (best / name).is_file()]
    if missing:
        raise InputError(
            "release-incomplete",
            f"{origin} must be the whole release, with {', '.join(FILES)} in its folder `data`",
            got=f"no {', '.join(missing)}",
            hint="get the release's archive again and give it unchanged",
        )
    return best


def _import_folder(data: Path, home: Path, origin: str) -> Path:
    """Read all files of the release, then write the trained folder."""
    from ...nets import histonet

    architecture, weights, matlab_file = (data / name for name in _MODEL_FILES)
    legacy.check_architecture(architecture)
    thresholds = legacy.read_thresholds(matlab_file, len(ADP_OUTPUTS))
    refinement = {name: legacy.read_crf(data / file) for file, name in _CRF_FILES.items()}
    net = histonet.x1_7(len(ADP_OUTPUTS))
    legacy.read_weights(weights, net)
    card = Card(
        name=NAME,
        method="tags",
        classes=ADP_OUTPUTS,
        thresholds=thresholds,
        mpp=MPP,
        taxonomies=tuple(refinement),
        normalization=Normalization(mean=histonet.MEAN, std=histonet.STD),
        source=f"HistoSegNet (Chan et al., ICCV 2019), release hsn_v1, {STEM}; imported from {origin}",
        license="The release's code is MIT. Its training data, the Atlas of Digital Pathology, is for non-commercial "
        "research under its own agreement.",
        data="Atlas of Digital Pathology: 14,134 patches of 100 slides, tagged with up to 57 tissues",
        stain="mostly H&E, diverse",
        notes=f"sha256 of the release's weights: {folders.checksum(weights)}. 34 of the 50 ADP tuning "
        "patches were among its training patches, so scores on them are optimistic.",
    )
    config = {
        "format": 1,
        "method": "tags",
        "classes": list(ADP_OUTPUTS),
        "thresholds": list(thresholds),
        "taxonomies": list(refinement),
        "mpp": MPP,
        "image_mpp": MPP,
        "window_px": histonet.INPUT_PX,
        "normalization": {"mean": [histonet.MEAN] * 3, "std": [histonet.STD] * 3},
        "cam_layers": [histonet.feature_layer(net).name, histonet.logits_layer(net).name],
        "cam_norm": "per_class",
        "subtraction": "order_free",
        "crf": {name: numbers | {"mpp": _TUNED_MPP.get(name)} for name, numbers in refinement.items()},
    }
    folders.save(home / NAME, net, card, config)
    return home / NAME
