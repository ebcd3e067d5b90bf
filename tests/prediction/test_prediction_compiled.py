"""Compiled forward passes: no warning about many shapes."""

import logging

import keras
import numpy as np
import pytest

from hsn.prediction import compiled


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the warning is TensorFlow's")
def test_images_of_many_sizes_bring_no_warning_of_tensorflow(monkeypatch):
    messages = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    monkeypatch.setattr(compiled, "COMPILE_FROM_PX", 0)
    net = keras.Sequential([keras.layers.Input((None, None, 1)), keras.layers.Rescaling(2.0)])
    logging.getLogger("tensorflow").addHandler(handler)
    try:
        for side in range(1, 11):
            assert compiled.predict_batch(net, np.ones((1, side, 2, 1), np.float32)).sum() == 4 * side
    finally:
        logging.getLogger("tensorflow").removeHandler(handler)
    assert messages == []
