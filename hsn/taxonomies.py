"""Taxonomies: class names, their order and colors, and rules for classes without a net output.

A taxonomy is plain data. Some classes have no net output, for example background glass or "everything else". Rules in
the taxonomy describe how to infer them, so that the code works for any taxonomy.

Source of the ADP and GlaS tables: HistoSegNet (Chan et al., ICCV 2019), release hsn_v1.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import check_file
from .limits import BLUR_PX, CLASSES, NAME_CHARS, TAXONOMY_BYTES

Color = tuple[int, int, int]


@dataclass(frozen=True)
class TissueClass:
    """One class: its name, color (RGB, 0..255), description, and parent in the hierarchy."""

    name: str
    color: Color
    meaning: str = ""
    parent: str | None = None

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise InputError(
                "class-name",
                f"the name of a class must be text of 1 to {NAME_CHARS} printable characters",
                got=repr(self.name),
                hint="rename the class",
            )


@dataclass(frozen=True)
class BackgroundRule:
    """Rule for background glass: ``b = peak * sigmoid(slope * (mean(R, G, B) - level))``, then blurred.

    `exceptions` names bright tissue classes (fat, lumina); their probability is subtracted from `b`.
    """

    name: str
    exceptions: tuple[str, ...] = ()
    peak: float = 0.75
    slope: float = 4.0  # per gray level: nearly a step at `level`
    level: float = 240.0  # gray level, 0..255
    blur_px: float = 2.0  # sigma, in pixels of the net's input

    def __post_init__(self) -> None:
        _check_number("peak", self.peak, 0, 1)
        _check_number("slope", self.slope, 0, 1000)
        _check_number("level", self.level, 0, 255)
        _check_number("blur_px", self.blur_px, 0, BLUR_PX)


@dataclass(frozen=True)
class OtherRule:
    """Rule for everything else: ``o = scale * (1 - max of all other classes)``, raised by the classes of `also`.

    `also` names net outputs that are not classes of this taxonomy but count as "other" in it.
    """

    name: str
    also: tuple[str, ...] = ()
    scale: float = 0.05

    def __post_init__(self) -> None:
        _check_number("scale", self.scale, 0, 1)


def is_name(name: Any) -> bool:
    """Return whether a value is a short printable text.

    Examples
    --------
    >>> is_name("G.O"), is_name("a\\nb"), is_name(3)
    (True, False, False)
    """
    return isinstance(name, str) and 0 < len(name) <= NAME_CHARS and name.isprintable()


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    """Raise unless a number of a rule is in its range."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise InputError(
            "taxonomy-number",
            f"`{name}` of a taxonomy must be {low} to {high:g}",
            got=repr(value),
            hint="correct the number",
        )


@dataclass(frozen=True)
class Taxonomy:
    """The classes of a segmentation, in order.

    Attributes
    ----------
    name : str
    classes : tuple of TissueClass
        The order defines the label: class k of a label image is `classes[k]`.
    background : BackgroundRule or None
        Rule for background glass. Default: None, no such class or the net has an output for it.
    other : OtherRule or None
        Rule for "everything else". Default: None, no such class or the net has an output for it.
    forced : tuple of str
        Classes that count as present in every patch, whatever their score.
    unlabeled : tuple of TissueClass
        Colors of truth images that do not belong to an evaluated class.

    Raises
    ------
    InputError
        "taxonomy-name" if the name cannot be part of a file name; "taxonomy-size"; "taxonomy-duplicate",
        "taxonomy-color" or "taxonomy-rule" for contradictory definitions.

    Examples
    --------
    >>> GLAS.names
    ('Other', 'G.O')
    >>> GLAS.index("G.O")
    1
    """

    name: str
    classes: tuple[TissueClass, ...]
    background: BackgroundRule | None = None
    other: OtherRule | None = None
    forced: tuple[str, ...] = ()
    unlabeled: tuple[TissueClass, ...] = ()

    def __post_init__(self) -> None:
        if not is_name(self.name) or not re.fullmatch(r"\w[\w .+-]*", self.name):
            raise InputError(
                "taxonomy-name",
                "the name of a taxonomy must consist of letters, digits, spaces and _ . + -, because files are named "
                f"after it, and have at most {NAME_CHARS} characters",
                got=repr(self.name),
                hint="rename the taxonomy",
            )
        if not 1 <= len(self.classes) + len(self.unlabeled) <= CLASSES or not self.classes:
            raise InputError(
                "taxonomy-size",
                f"taxonomy '{self.name}' must have 1 to {CLASSES} classes",
                got=len(self.classes) + len(self.unlabeled),
                hint="give the classes that the net distinguishes",
            )
        colors = self.colors + tuple(c.color for c in self.unlabeled)
        self._check_distinct("names", self.names)
        self._check_distinct("colors", colors)
        for color in colors:
            if len(color) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in color):
                raise InputError(
                    "taxonomy-color",
                    f"colors of taxonomy '{self.name}' must be three integers 0..255",
                    got=color,
                    hint="write colors as [red, green, blue]",
                )
        exceptions = self.background.exceptions if self.background else ()
        for name in (*self.inferred, *self.forced, *exceptions):
            if name not in self.names:
                raise InputError(
                    "taxonomy-rule",
                    f"rules of taxonomy '{self.name}' must name its classes, one of {self.names}",
                    got=repr(name),
                    hint="add the class or correct its name",
                )

    def _check_distinct(self, kind: str, values: tuple) -> None:
        if len(set(values)) < len(values):
            duplicate = next(value for value in values if values.count(value) > 1)
            raise InputError(
                "taxonomy-duplicate",
                f"{kind} of taxonomy '{self.name}' must be distinct",
                got=f"{duplicate} twice",
                hint="change one of the two",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in label order."""
        return tuple(c.name for c in self.classes)

    @property
    def colors(self) -> tuple[Color, ...]:
        """RGB colors in label order."""
        return tuple(c.color for c in self.classes)

    @property
    def inferred(self) -> tuple[str, ...]:
        """Names of the classes that are inferred by a rule (background, other)."""
        return tuple(rule.name for rule in (self.background, self.other) if rule is not None)

    def index(self, name: str) -> int:
        """Return the label of a class name; raise InputError "class-unknown" if it is missing."""
        if name not in self.names:
            raise InputError(
                "class-unknown",
                f"the class must be one of {', '.join(self.names)} (taxonomy '{self.name}')",
                got=repr(name),
                hint="correct the name",
            )
        return self.names.index(name)

    def __len__(self) -> int:
        return len(self.classes)


def ancestors(name: str) -> tuple[str, ...]:
    """Return the ancestors of an ADP class, nearest first; its dotted name is the path.

    Examples
    --------
    >>> ancestors("N.R.B")
    ('N.R', 'N')
    """
    parts = name.split(".")
    return tuple(".".join(parts[:k]) for k in range(len(parts) - 1, 0, -1))


def parse(data: dict, origin: str = "taxonomy") -> Taxonomy:
    """Build a taxonomy from plain data, as read from a TOML or JSON file.

    Parameters
    ----------
    data : dict
        `name`; `classes`, a list of ``{name, color, meaning?, parent?}``; optional `background` and `other`, each
        ``{name, ...}`` with the fields of `BackgroundRule` and `OtherRule`; optional `forced` and `unlabeled`.
    origin : str
        Source of the data, for error messages.

    Raises
    ------
    InputError
        "taxonomy-fields" if fields are missing, unknown or of the wrong type.

    Examples
    --------
    >>> parse({"name": "mine", "classes": [{"name": "tumor", "color": [200, 0, 0]}]}).names
    ('tumor',)
    """

    def build(kind: Any, fields: Any) -> Any:
        try:
            fields = {k: tuple(v) if isinstance(v, list) else v for k, v in dict(fields).items()}
            return kind(**fields)
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(
                "taxonomy-fields",
                f"{origin} must have the fields of {kind.__name__}",
                got=f"{fields} ({error})",
                hint="see docs/how-to/taxonomies.md for an example",
            ) from None

    fields = dict(data) if isinstance(data, dict) else {"not a table": data}
    if "unlabelled" in fields:  # name of this field in files of format 0
        fields.setdefault("unlabeled", fields.pop("unlabelled"))
    for key in ("classes", "unlabeled"):
        if key in fields and isinstance(fields[key], (list, tuple)):
            fields[key] = [build(TissueClass, c) for c in fields[key]]
    for key, kind in (("background", BackgroundRule), ("other", OtherRule)):
        if fields.get(key) is not None:
            fields[key] = build(kind, fields[key])
    return build(Taxonomy, fields)


def read(path: Path | str) -> Taxonomy:
    """Read a taxonomy from a `.toml` or `.json` file; see `parse` for its fields."""
    path = Path(path)
    try:
        text = check_file(path, max_bytes=TAXONOMY_BYTES).read_text(encoding="utf-8-sig")
        data = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            "taxonomy-unreadable",
            f"{path} must be a TOML or JSON file",
            got=error,
            hint="see docs/how-to/taxonomies.md for an example",
        ) from None
    return parse(data, origin=str(path))


def get(name_or_path: Taxonomy | Path | str) -> Taxonomy:
    """Return a built-in taxonomy by name, or read one from a path; return a `Taxonomy` unchanged."""
    if isinstance(name_or_path, Taxonomy):
        return name_or_path
    if name_or_path in BUILT_IN:
        return BUILT_IN[str(name_or_path)]
    if is_file_name(name_or_path):
        return read(name_or_path)
    raise InputError(
        "taxonomy-unknown",
        f"the taxonomy must be one of {', '.join(BUILT_IN)}, or a .toml or .json file",
        got=repr(name_or_path),
        hint="correct the name or give a path",
    )


def is_file_name(name: Path | str) -> bool:
    """Tell whether a name is that of a taxonomy file.

    Examples
    --------
    >>> is_file_name("lab.TOML"), is_file_name("glas")
    (True, False)
    """
    return Path(name).suffix.lower() in (".toml", ".json")


# --- The Atlas of Digital Pathology -----------------------------------------------------------------------------

# Outputs of the released net, in order ("level 5": 36 leaves and their ancestors).
ADP_OUTPUTS = tuple(
    """E E.M E.M.S E.M.U E.M.O E.T E.T.S E.T.U E.T.O E.P C C.D C.D.I C.D.R C.L H H.E H.K H.Y S S.M S.M.C S.M.S S.E
    S.C S.C.H S.R A A.W A.B A.M M M.M M.K N N.P N.R N.R.B N.R.A N.G N.G.M N.G.A N.G.O N.G.E N.G.R N.G.W N.G.T
    G G.O G.N T""".split()  # noqa: SIM905 - 51 quoted strings are harder to read
)

_GLASS = TissueClass("Background", (255, 255, 255), "bare glass")
_ADIPOSE = ("A.W", "A.B", "A.M")


def _table(rows: str) -> Iterator[TissueClass]:
    """Parse classes from lines of `name r g b meaning`; parents come from the dotted names."""
    for row in rows.strip().splitlines():
        name, r, g, b, meaning = row.split(maxsplit=4)
        yield TissueClass(name, (int(r), int(g), int(b)), meaning, next(iter(ancestors(name)), None))


ADP_MORPH = Taxonomy(
    "adp-morph",
    classes=(
        _GLASS,
        *_table("""
E.M.S 0 0 128       simple squamous epithelium
E.M.U 0 128 0       simple cuboidal epithelium
E.M.O 255 165 0     simple columnar epithelium
E.T.S 255 192 203   stratified squamous epithelium
E.T.U 255 0 0       stratified cuboidal epithelium
E.T.O 173 20 87     stratified columnar epithelium
E.P 176 141 105     pseudostratified epithelium
C.D.I 3 155 229     dense irregular connective tissue
C.D.R 158 105 175   dense regular connective tissue
C.L 216 27 96       loose connective tissue
H.E 244 81 30       erythrocytes
H.K 124 179 66      leukocytes
H.Y 142 36 255      lymphocytes
S.M.C 240 147 0     compact bone
S.M.S 204 25 165    spongy bone
S.E 121 85 72       endochondral bone
S.C.H 142 36 170    hyaline cartilage
S.R 179 157 219     marrow
A.W 121 134 203     white adipose tissue
A.B 97 97 97        brown adipose tissue
A.M 167 155 142     marrow adipose tissue
M.M 228 196 136     smooth muscle
M.K 213 0 0         skeletal muscle
N.P 4 58 236        neuropil
N.R.B 0 150 136     nerve cell bodies
N.R.A 228 196 65    nerve axons
N.G.M 239 108 0     microglia
N.G.W 74 21 209     Schwann cells
"""),
    ),
    background=BackgroundRule("Background", exceptions=_ADIPOSE),
    unlabeled=tuple(
        _table("""
E.T.X 0 204 184     stratified epithelium, undifferentiated
C.X 131 81 63       connective tissue, undifferentiated
H.X 230 124 115     blood, undifferentiated
S.C.X 249 127 57    cartilage, undifferentiated
N.G.X 148 0 0       glia, undifferentiated
""")
    ),
)

ADP_FUNC = Taxonomy(
    "adp-func",
    classes=(
        _GLASS,
        TissueClass("Other", (3, 155, 229), "tissue of no listed function"),
        *_table("""
G.O 0 0 128         exocrine gland
G.N 0 128 0         endocrine gland
T 173 20 87         transport vessel
"""),
    ),
    background=BackgroundRule("Background", exceptions=("G.O", "G.N", "T")),
    other=OtherRule("Other", also=_ADIPOSE),
    unlabeled=tuple(_table("G.X 255 165 0       gland, undifferentiated")),
)

GLAS = Taxonomy(
    "glas",
    classes=(
        TissueClass("Other", (3, 155, 229), "everything except glands"),
        TissueClass("G.O", (0, 0, 128), "gland", "G"),
    ),
    other=OtherRule("Other"),
    forced=("G.O",),
)

NUCLEI = Taxonomy(
    "nuclei",
    classes=(
        TissueClass("Other", (0, 0, 0), "everything except nuclei"),
        TissueClass("Nucleus", (255, 255, 255), "nucleus"),  # black and white, as in binary masks
    ),
    other=OtherRule("Other"),
    forced=("Nucleus",),
)

BUILT_IN = {taxonomy.name: taxonomy for taxonomy in (ADP_MORPH, ADP_FUNC, GLAS, NUCLEI)}
