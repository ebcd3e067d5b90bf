"""The dense CRF and the permutohedral filter that it uses."""
