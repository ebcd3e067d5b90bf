"""Objects: label images of instances, their contours and borders, and how they come out of probabilities."""
