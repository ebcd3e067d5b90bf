"""What the recipes of all siblings do alike: name their taxonomies, change, and go to plain data and back."""

from dataclasses import asdict, fields, replace

from . import taxonomies
from ._refuse import refuse


class RecipeLike:
    """Methods of a frozen dataclass with the fields `taxonomies` and `learning`, and of its `recipe.json`.

    A sibling says from what it learns (`KIND`), the class of its `learning` (`LEARNING`), and, in `_parsed`, how
    further fields come out of plain data.
    """

    KIND: str
    LEARNING: type

    def taxonomy(self, name=None):
        """The taxonomy of this name, or the default."""
        found = [t for t in self.taxonomies if name in (None, t.name)]
        if not found:
            refuse("this net does not segment this taxonomy", received=repr(name), remedy="choose one of these",
                   expected=f"one of {', '.join(t.name for t in self.taxonomies)}")  # fmt: skip
        return found[0]

    def changed(self, **changes):
        """A copy with some fields changed."""
        return replace(self, **changes)

    def as_dict(self):
        """Plain data, as it stands in `recipe.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data):
        """Parse what `as_dict` gave, or a file that claims to be; anything odd is refused."""
        try:
            known = {f.name for f in fields(cls)}
            if not isinstance(data, dict) or set(data) - known:
                raise TypeError(f"unknown fields {sorted(set(data) - known)}")
            values = _tuples(data) | cls._parsed(data)
            values["taxonomies"] = tuple(
                taxonomies.get(t) if isinstance(t, str) else taxonomies.parse(t) for t in data["taxonomies"]
            )
            values["learning"] = cls.LEARNING(**_tuples(data.get("learning", {})))
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            refuse(f"this is no recipe of learning from {cls.KIND}", received=str(error),
                   expected=f"the fields of hsn.supervision.{cls.KIND}.Recipe",
                   remedy="take recipe.json from a trained folder, unchanged")  # fmt: skip

    @classmethod
    def _parsed(cls, data):
        return {}


def _tuples(data):
    """JSON has lists where recipes have tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
