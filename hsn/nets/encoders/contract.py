"""The interface of all encoders: their feature maps and their input."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from ...errors import InputError


@dataclass(frozen=True)
class EncoderInfo:
    """Describes an encoder without building it.

    The encoder itself is a `keras.Model`: (N, H, W, 3) normalized pixels -> list of feature maps, finest first. Map
    `i` has `out_channels[i]` channels and sides of ``ceil(H / strides[i])`` and ``ceil(W / strides[i])``.

    Attributes
    ----------
    name : str
        The name that `hsn.nets.encoders.build` takes.
    out_channels : tuple of int
        Channels of each feature map, finest first.
    strides : tuple of int
        Pixels of the image per pixel of each feature map: 2, 4, 8, ...
    mean, std : tuple of 3 float
        RGB mean and standard deviation of the pretraining images, in units of 255.
    license : str
        License of the pretrained weights (SPDX identifier), or "" if there are none.
    source : str
        Origin of the pretrained weights.

    Examples
    --------
    >>> info = EncoderInfo("tiny", (4, 8), (2, 4), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    >>> info.up_to(2).out_channels, info.size_divisor
    ((4,), 4)
    """

    name: str
    out_channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    license: str = ""
    source: str = ""

    @property
    def size_divisor(self):
        """Largest stride. A decoder joins the maps exactly if both sides of the image divide by it."""
        return self.strides[-1]

    def up_to(self, stride):
        """Return the description of this encoder without the maps that are coarser than `stride`.

        Raises
        ------
        InputError
            "encoder-stride" if the encoder has no map of this stride.
        """
        if stride not in self.strides:
            raise InputError("encoder-stride", f"`stride` must be one of {', '.join(map(str, self.strides))}",
                             got=stride, hint=f"Try stride={self.strides[-1]}")  # fmt: skip
        count = self.strides.index(stride) + 1
        channels, strides = self.out_channels[:count], self.strides[:count]
        return EncoderInfo(self.name, channels, strides, self.mean, self.std, self.license, self.source)

    def preprocess(self, image):
        """Return ``(image / 255 - mean) / std`` as float32.

        Parameters
        ----------
        image : array, shape (..., 3)
            RGB, 0..255.

        Returns
        -------
        float32 array, shape (..., 3)

        Examples
        --------
        >>> info = EncoderInfo("tiny", (4,), (2,), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.5))
        >>> info.preprocess([[[255, 127.5, 0]]]).tolist()
        [[[2.0, 0.0, -1.0]]]
        """
        pixels = np.asarray(image, np.float32) / np.float32(255)
        return (pixels - np.float32(self.mean)) / np.float32(self.std)


def load_arrays(model, arrays):
    """Set all weights of a model from named arrays.

    Parameters
    ----------
    model : keras.Model
    arrays : mapping of str to array
        One array per variable, named "layer/variable", for example "stem/kernel"; axes as in Keras. Arrays of layers
        that the model lacks are ignored, so that one file serves an encoder of any depth.

    Raises
    ------
    InputError
        "weights-mismatch" if an array is missing or has another shape. The model is unchanged then.

    Examples
    --------
    >>> from keras import layers
    >>> model = keras.Sequential([layers.Input((2,)), layers.Dense(1, name="out")])
    >>> load_arrays(model, {"out/kernel": [[1], [2]], "out/bias": [3], "other/kernel": [0]})
    >>> float(model(np.ones((1, 2)))[0, 0])
    6.0
    """
    if not isinstance(arrays, Mapping):
        raise InputError("weights-type", '`weights` must be "imagenet", None or a mapping of names to arrays',
                         got=repr(arrays)[:60], hint='Try weights="imagenet"')  # fmt: skip
    new = []
    for layer in (layer for layer in model.layers if layer.weights):
        values = [(f"{layer.name}/{v.name}", tuple(v.shape)) for v in layer.weights]
        for name, shape in values:
            got = np.shape(arrays[name]) if name in arrays else "nothing"
            if got != shape:
                raise InputError("weights-mismatch", f"`{name}` must have shape {shape}", got=got,
                                 hint="Try the weights of this encoder")  # fmt: skip
        new.append((layer, [np.asarray(arrays[name], np.float32) for name, _ in values]))
    for layer, values in new:
        layer.set_weights(values)


def arrays_of(model):
    """Return all weights of a model by name, as `load_arrays` takes them.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    dict of str to array

    Examples
    --------
    >>> from keras import layers
    >>> sorted(arrays_of(keras.Sequential([layers.Input((2,)), layers.Dense(1, name="out")])))
    ['out/bias', 'out/kernel']
    """
    weighted = [layer for layer in model.layers if layer.weights]
    return {f"{la.name}/{v.name}": keras.ops.convert_to_numpy(v) for la in weighted for v in la.weights}
