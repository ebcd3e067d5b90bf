"""Label images of instances: contours, borders, watersheds, and objects from probabilities."""
