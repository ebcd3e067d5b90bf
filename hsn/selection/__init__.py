"""Selection: which few patches of many an annotator should outline."""
