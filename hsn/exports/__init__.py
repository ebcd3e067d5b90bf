"""File formats of other programs: QuPath, ImageJ, napari, DICOM viewers, pandas and R.

Writers of objects take an iterable of `ObjectTable`, so that the objects of a slide are written in parts. Writers of
images take anything that is sliced like an array. Each file appears only when it is complete.
"""
