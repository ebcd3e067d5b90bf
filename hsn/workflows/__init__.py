"""The functions that users call: fit, segment, evaluate, select patches. The command line calls the same ones."""
