"""Labels: the truth in its many forms (colours, objects, tags), read, written and turned into one another."""
