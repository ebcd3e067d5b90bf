"""What configs of all methods do alike: check numbers, name their taxonomies, change, become data and come back."""

from dataclasses import asdict, fields, replace

from . import taxonomies
from .errors import refuse


class BaseConfig:
    """Methods of a frozen dataclass with the fields `taxonomies` and `learning`, and of its `config.json`.

    A method says from what it learns (`KIND`), the class of its `learning` (`LEARNING`), and, in `_parsed`, how
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
        """Plain data, as it stands in `config.json`."""
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
            refuse(f"this is no config of learning from {cls.KIND}", received=str(error),
                   expected=f"the fields of hsn.supervision.{cls.KIND}.Config",
                   remedy="take config.json from a trained folder, unchanged")  # fmt: skip

    @classmethod
    def _parsed(cls, data):
        return {}

    def _check_positive(self, *names, **others):
        """Refuse fields, or other numbers by name, that are not above 0."""
        for name, value in {**{name: getattr(self, name) for name in names}, **others}.items():
            if not value > 0:
                refuse(f"a config's `{name}` must be positive", expected="a number above 0",
                       received=value, remedy="mend config.json")  # fmt: skip

    def _check_normalization(self):
        """Refuse a `mean` and `std` that are not of three channels."""
        if len(self.mean) != 3 or len(self.std) != 3 or not min(self.std) > 0:
            refuse("a config's normalization is of red, green and blue", received=f"{self.mean} and {self.std}",
                   expected="three means, three deviations above 0", remedy="mend config.json")  # fmt: skip

    def _check_choices(self, **choices):
        """Refuse a choice, ``name=(value, what there is)``, that does not exist."""
        for name, (value, known) in choices.items():
            if value not in known:
                refuse("a config's choice does not exist", expected=f"`{name}` one of {tuple(known)}",
                       received=repr(value), remedy="mend the config")  # fmt: skip

    def _check_one_kind(self):
        """Refuse taxonomies that are not of one kind of object beside everything else."""
        for taxonomy in self.taxonomies:
            if len(taxonomy) != 2:
                refuse("objects of one kind are one class beside everything else", received=len(taxonomy),
                       expected="a taxonomy of two classes", remedy="train a net per kind of object")  # fmt: skip


def _tuples(data):
    """JSON has lists where configs have tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
