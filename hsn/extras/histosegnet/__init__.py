"""The HistoSegNet release: read its archive and write a trained folder."""

from .release import import_release

__all__ = ["import_release"]
