"""Mixed: one net from images with outlines, clicks, scribbles, boxes, tags, or nothing."""

from ...deprecated import method_attributes

__getattr__, __dir__ = method_attributes(__name__, {}, {})
__all__ = __dir__()
