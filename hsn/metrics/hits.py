"""Hits and misses: what was found rightly, what wrongly, and what was overlooked, with the shares that follow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hits:
    """Counts of a comparison; they and what a comparison adds to them sum up over images.

    Attributes
    ----------
    true_positives, false_positives, false_negatives : int
        What was found rightly, found wrongly, and overlooked.

    Examples
    --------
    >>> both = Hits(3, 1, 0) + Hits(1, 0, 1)
    >>> both.precision, both.recall, both.f1
    (0.8, 0.8, 0.8)
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    def __add__(self, other):
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    @property
    def precision(self):
        """Share of what was found that is right; 1 where there is nothing on either side."""
        return self._share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self):
        """Share of the truth that was found; 1 where there is nothing on either side."""
        return self._share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self):
        """Harmonic mean of precision and recall; of panoptic quality the detection part, DQ."""
        wrong = self.false_positives + self.false_negatives
        return self._share(2 * self.true_positives, 2 * self.true_positives + wrong)

    def _share(self, part, whole):
        nothing = not (self.true_positives or self.false_positives or self.false_negatives)
        return 1.0 if nothing else float(part / whole) if whole else 0.0
