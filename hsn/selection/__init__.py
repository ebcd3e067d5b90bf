"""Selection of the patches that an annotator should outline."""
