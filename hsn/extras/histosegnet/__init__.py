"""The HistoSegNet release: read its archive as users have it and write a trained folder."""

from .release import import_release

__all__ = ["import_release"]
