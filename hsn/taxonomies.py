"""Taxonomies: which tissues there are, in which order and colour, and how the unseen ones are inferred.

A taxonomy is plain data. The classes that a net has no output for (bare glass, "everything else") are declared
here as rules, so that the code which applies them serves any taxonomy and knows no data set by name.

Source of the ADP and GlaS tables: HistoSegNet (Chan et al., ICCV 2019), release hsn_v1.
"""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .errors import refuse

Color = tuple[int, int, int]


@dataclass(frozen=True)
class TissueClass:
    """One class: its short name, its colour (RGB, 0..255), what it means, and its parent in the hierarchy."""

    name: str
    color: Color
    meaning: str = ""
    parent: str | None = None


@dataclass(frozen=True)
class BackgroundRule:
    """Bare glass, found by brightness: ``b = peak * sigmoid(slope * (mean(R, G, B) - level))``, blurred.

    `exceptions` are classes that are bright themselves (fat, lumina): their evidence is subtracted from `b`.
    """

    name: str
    exceptions: tuple[str, ...] = ()
    peak: float = 0.75
    slope: float = 4.0  # per grey level: in effect a hard step at `level`
    level: float = 240.0  # grey levels, 0..255
    blur_px: float = 2.0  # sigma, in pixels of the net's input


@dataclass(frozen=True)
class OtherRule:
    """Everything else: ``o = scale * (1 - max of all other classes)``, raised by the evidence of `also`.

    `also` names outputs of the net that are no class of this taxonomy but count as "other" in it.
    """

    name: str
    also: tuple[str, ...] = ()
    scale: float = 0.05


@dataclass(frozen=True)
class Taxonomy:
    """The classes of a segmentation, in order.

    Attributes
    ----------
    name : str
    classes : tuple of TissueClass
        The order is the label: class k of a label image is `classes[k]`.
    background : BackgroundRule or None
        How bare glass is found; None where the taxonomy has no such class, or the net sees it by itself.
    other : OtherRule or None
        How "everything else" is found; None likewise.
    forced : tuple of str
        Classes that count as present in every patch, whatever their score.
    unlabelled : tuple of TissueClass
        Colours that occur in truth images and belong to no evaluated class.

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
    unlabelled: tuple[TissueClass, ...] = ()

    def __post_init__(self):
        names, colors = self.names, self.colors + tuple(c.color for c in self.unlabelled)
        rules = [rule for rule in (self.background, self.other) if rule is not None]
        wanted = [rule.name for rule in rules] + list(self.forced)
        wanted += self.background.exceptions if self.background else ()
        for kind, found in (("names", names), ("colours", colors)):
            if len(set(found)) < len(found):
                twice = next(x for x in found if found.count(x) > 1)
                refuse(f"taxonomy '{self.name}' needs distinct {kind}", expected="each once",
                       received=f"{twice} twice", remedy="change one of the two")  # fmt: skip
        for color in colors:
            if len(color) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in color):
                refuse(f"taxonomy '{self.name}' needs RGB colours", expected="three whole numbers 0..255",
                       received=color, remedy="write colours as [red, green, blue]")  # fmt: skip
        for name in wanted:
            if name not in names:
                refuse(f"taxonomy '{self.name}' has a rule for a class that it lacks", expected=f"one of {names}",
                       received=repr(name), remedy="add the class or mend its name")  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in label order."""
        return tuple(c.name for c in self.classes)

    @property
    def colors(self) -> tuple[Color, ...]:
        """RGB colours in label order."""
        return tuple(c.color for c in self.classes)

    @property
    def inferred(self) -> tuple[str, ...]:
        """Names of the classes that a rule makes (background, other)."""
        return tuple(rule.name for rule in (self.background, self.other) if rule is not None)

    def index(self, name: str) -> int:
        """Label of a class, by name."""
        if name not in self.names:
            refuse(f"taxonomy '{self.name}' has no such class", expected=f"one of {', '.join(self.names)}",
                   received=repr(name), remedy="mend the name")  # fmt: skip
        return self.names.index(name)

    def __len__(self):
        return len(self.classes)


def ancestors(name: str) -> tuple[str, ...]:
    """Ancestors of an ADP class, nearest first: its name is the path.

    Examples
    --------
    >>> ancestors("N.R.B")
    ('N.R', 'N')
    """
    parts = name.split(".")
    return tuple(".".join(parts[:k]) for k in range(len(parts) - 1, 0, -1))


def parse(data: dict, origin: str = "taxonomy") -> Taxonomy:
    """Build a taxonomy from a lab's own description, as `read` finds it in a file.

    Parameters
    ----------
    data : dict
        `name`; `classes`, a list of ``{name, color, meaning?, parent?}``; optional `background` and `other`,
        each ``{name, ...}`` with the fields of `BackgroundRule` and `OtherRule`; optional `forced`.
    origin : str
        Where it came from, for the error message.

    Examples
    --------
    >>> parse({"name": "mine", "classes": [{"name": "tumour", "color": [200, 0, 0]}]}).names
    ('tumour',)
    """

    def build(kind, fields):
        try:
            fields = {k: tuple(v) if isinstance(v, list) else v for k, v in dict(fields).items()}
            return kind(**fields)
        except (TypeError, ValueError) as error:
            refuse(f"{origin} does not describe a taxonomy", expected=f"the fields of {kind.__name__}",
                   received=f"{fields} ({error})", remedy="see docs/taxonomies.md for an example")  # fmt: skip

    fields = dict(data) if isinstance(data, dict) else {"not a table": data}
    for key in ("classes", "unlabelled"):
        if key in fields and isinstance(fields[key], (list, tuple)):
            fields[key] = [build(TissueClass, c) for c in fields[key]]
    for key, kind in (("background", BackgroundRule), ("other", OtherRule)):
        if fields.get(key) is not None:
            fields[key] = build(kind, fields[key])
    return build(Taxonomy, fields)


def read(path) -> Taxonomy:
    """Read a taxonomy from a `.toml` or `.json` file; see `parse` for its fields."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        refuse(f"{path} cannot be read as a taxonomy", expected="a TOML or JSON file",
               received=str(error), remedy="see docs/taxonomies.md for an example")  # fmt: skip
    return parse(data, origin=str(path))


def get(name_or_path) -> Taxonomy:
    """A built-in taxonomy by name, or a lab's own by path; a `Taxonomy` is returned as it is."""
    if isinstance(name_or_path, Taxonomy):
        return name_or_path
    if name_or_path in BUILT_IN:
        return BUILT_IN[name_or_path]
    if Path(name_or_path).suffix in (".toml", ".json"):
        return read(name_or_path)
    refuse("there is no such taxonomy", expected=f"one of {', '.join(BUILT_IN)} or a .toml or .json file",
           received=repr(name_or_path), remedy="mend the name or give a path")  # fmt: skip


# --- The Atlas of Digital Pathology -----------------------------------------------------------------------------

# Outputs of the released net, in order ("level 5": 36 leaves and their ancestors).
ADP_OUTPUTS = tuple(
    """E E.M E.M.S E.M.U E.M.O E.T E.T.S E.T.U E.T.O E.P C C.D C.D.I C.D.R C.L H H.E H.K H.Y S S.M S.M.C S.M.S S.E
    S.C S.C.H S.R A A.W A.B A.M M M.M M.K N N.P N.R N.R.B N.R.A N.G N.G.M N.G.A N.G.O N.G.E N.G.R N.G.W N.G.T
    G G.O G.N T""".split()  # noqa: SIM905 - 51 quoted strings are harder to read
)

_GLASS = TissueClass("Background", (255, 255, 255), "bare glass")
_ADIPOSE = ("A.W", "A.B", "A.M")


def _table(rows):
    """Classes from lines of `name r g b meaning`; parents from the dotted names."""
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
    unlabelled=tuple(
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
    unlabelled=tuple(_table("G.X 255 165 0       gland, undifferentiated")),
)

GLAS = Taxonomy(
    "glas",
    classes=(
        TissueClass("Other", (3, 155, 229), "everything that is no gland"),
        TissueClass("G.O", (0, 0, 128), "gland", "G"),
    ),
    other=OtherRule("Other"),
    forced=("G.O",),
)

NUCLEI = Taxonomy(
    "nuclei",
    classes=(
        TissueClass("Other", (0, 0, 0), "everything that is no nucleus"),
        TissueClass("Nucleus", (255, 255, 255), "nucleus"),  # black and white: a binary mask reads as it is
    ),
    other=OtherRule("Other"),
    forced=("Nucleus",),
)

BUILT_IN = {taxonomy.name: taxonomy for taxonomy in (ADP_MORPH, ADP_FUNC, GLAS, NUCLEI)}
