"""From evidence to borders: the dense CRF and the filter under it."""
