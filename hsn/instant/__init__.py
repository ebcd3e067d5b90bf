"""The instant classifier: classical feature maps and a logistic regression, for feedback after each stroke."""
