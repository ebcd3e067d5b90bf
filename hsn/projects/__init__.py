"""Studies: a folder of images with their annotation, as plain files that are readable without hsn."""
