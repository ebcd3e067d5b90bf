"""Variance: what a net says should be the same everywhere inside one object.

The spatial term of FullNet's loss ("varCE"): beside the cross-entropy, which looks at pixels one by one, the
variance of the probabilities inside each object is made small, so that touching objects get a seam and lone
pixels of another class cost something (Qu et al., Improving nuclei/gland instance segmentation in
histopathology images by full resolution neural network and spatial constrained loss, MICCAI 2019).
"""

from keras import ops


def instance_variance(instances, prediction):
    """Mean variance inside the objects of an image, averaged over images.

    For an object S with n pixels and mean probability m::

        v(S) = sum over classes and pixels of (p - m)^2 / (n - 1);    v(S) = 0 where n = 1
        loss = mean over images of [ sum of v(S) / number of objects ]

    Objects are the 8-connected parts of the inside class *after augmentation*
    (hsn.objects.cleaning.number_parts): what a crop cuts in two is two objects.

    Parameters
    ----------
    instances : int tensor (N, H, W)
        0 where there is no object, 1..n; the height and the width must be known when the graph is built.
    prediction : tensor (N, H, W, C)
        Probabilities.

    Returns
    -------
    float32 scalar tensor
        At least 0; 0 for an image without objects.

    Examples
    --------
    >>> prediction = [[[[0.0, 1.0], [0.5, 0.5], [1.0, 0.0], [0.3, 0.7]]]]
    >>> round(float(instance_variance([[[1, 1, 1, 0]]], prediction)), 4)
    0.5
    """
    prediction = ops.cast(prediction, "float32")
    count = ops.shape(prediction)[0]
    _, height, width, channels = prediction.shape
    # No more 8-connected objects than this fit, so the number of sums is known before the objects are.
    most = -(-height // 2) * -(-width // 2) + 1
    first = ops.arange(count, dtype="int32")[:, None, None] * most  # (N, 1, 1)
    segments = ops.reshape(ops.cast(instances, "int32") + first, (-1,))  # (N H W,)
    pixels = ops.reshape(prediction, (-1, channels))  # (N H W, C)

    def per_object(values):
        return ops.segment_sum(values, segments, num_segments=count * most)

    sizes = per_object(ops.ones_like(pixels[:, :1]))  # (N most, 1)
    means = per_object(pixels) / ops.maximum(sizes, 1)  # (N most, C)
    squares = per_object((pixels - ops.take(means, segments, axis=0)) ** 2)  # (N most, C)
    variances = ops.sum(squares / ops.maximum(sizes - 1, 1), axis=1)  # (N most,)
    variances = ops.reshape(variances, (-1, most))[:, 1:]  # segment 0 of each image is its background
    objects = ops.sum(ops.cast(ops.reshape(sizes, (-1, most))[:, 1:] > 0, "float32"), axis=1)  # (N,)
    return ops.mean(ops.sum(variances, axis=1) / ops.maximum(objects, 1))
