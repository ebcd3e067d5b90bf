"""Annotations: read, write and convert color masks, label images, outlines, points and tags."""
