"""Losses of the conditional SinGAN: one generator and three critics.

The critics get the whole image, the nuclei, and the background between nuclei [1]_, [2]_. The other pixels have a
constant color. The losses of critic k and of the generator are::

    L_k = -mean(w_k D_k(real_k)) + mean(v_k D_k(fake_k)) + p GP(D_k)
    L_G = -sum_k mean(v_k D_k(fake_k)) + a MSE(G(reconstruction), image)

The weights w_k and v_k select the scores that belong to the part of critic k.

Notes
-----
The released code masks generated images in 8 bits, outside of the gradient: the critics of nuclei and background are
trained, but the generator gets no gradient from them. Here the mask is part of the computation.

The released code masks with black. A generator with a gradient then fills gaps between close nuclei with black. Here
the mask color is the mean color of the part of the critic, which avoids this.

References
----------
.. [1] Lou et al., "Which pixel to annotate", IEEE TMI 2022, and its released code.
.. [2] Shaham et al., "SinGAN", ICCV 2019.
"""

from keras import ops

PENALTY, RECONSTRUCTION = 0.1, 10.0  # weights in both papers
BLACK = -1.0  # pixels are in -1..1


def critic_images(image, mask, *, mask_colors=((BLACK,), (BLACK,)), released=False):
    """Return the images that the three critics get.

    Parameters
    ----------
    image : float tensor, shape (N, H, W, 3), in -1..1
    mask : float tensor, shape (N, H, W, 1)
        1 inside nuclei, -1 around them.
    mask_colors : array, shape (2, 3) or (2, 1), in -1..1
        Color of the masked pixels for the critic of nuclei, and for the critic of the background.
    released : bool
        Mask in 8 bits as the released code, without gradient.

    Returns
    -------
    list of three float tensors
        The image; only its nuclei; only its background.

    Examples
    --------
    >>> mask = ops.reshape(ops.array([1.0, -1.0]), (1, 1, 2, 1))
    >>> whole, nuclei, between = critic_images(ops.zeros((1, 1, 2, 3)), mask)
    >>> ops.convert_to_numpy(nuclei)[0, 0, :, 0].tolist(), ops.convert_to_numpy(between)[0, 0, :, 0].tolist()
    ([0.0, -1.0], [-1.0, 0.0])
    """
    inside = (mask + 1) / 2
    parts = [image]
    for part, color in zip((inside, 1 - inside), mask_colors, strict=True):
        parts.append(image * part + ops.convert_to_tensor(color, image.dtype) * (1 - part))
    if released:
        parts[1:] = [ops.stop_gradient(_quantize(part)) for part in parts[1:]]
    return parts


def _quantize(image):
    return ops.floor(255 * ops.clip((image + 1) / 2, 0, 1)) / 255 * 2 - 1


def critic_terms(critics, real, fake, real_weights, fake_weights, penalties, *, penalty=PENALTY):
    """Return the loss of each critic.

    Parameters
    ----------
    critics : three callables
        Images -> score maps (N, h, w, 1).
    real, fake : lists of three float tensors
        From `critic_images`; `fake` without a gradient to the generator.
    real_weights, fake_weights : float tensors, shape (3, N, h, w, 1)
        Weights of the scores.
    penalties : list of three scalar tensors
        `gradient_penalty` of each critic.
    penalty : float
        Weight of the penalties. Default: 0.1.

    Returns
    -------
    float tensor, shape (3,)

    Examples
    --------
    >>> one, two = ops.ones((1, 2, 2, 1)), 2 * ops.ones((1, 2, 2, 1))
    >>> terms = critic_terms([ops.abs] * 3, [two] * 3, [one] * 3, ops.stack([one] * 3), ops.stack([one] * 3), [0.0] * 3)
    >>> ops.convert_to_numpy(terms).tolist()
    [-1.0, -1.0, -1.0]
    """
    terms = []
    for k, critic in enumerate(critics):
        distance = ops.mean(fake_weights[k] * critic(fake[k])) - ops.mean(real_weights[k] * critic(real[k]))
        terms.append(distance + penalty * penalties[k])
    return ops.stack(terms)


def generator_terms(critics, fake, fake_weights, reconstructed, image, *, reconstruction=RECONSTRUCTION):
    """Return the terms of the generator: one for each critic, and the reconstruction error.

    Parameters
    ----------
    critics, fake, fake_weights
        As in `critic_terms`.
    reconstructed, image : float tensors, shape (N, H, W, 3)
        Output of the generator for the reconstruction noise and the true layout, and the true image.
    reconstruction : float
        Weight of the reconstruction error. Default: 10.

    Returns
    -------
    float tensor, shape (4,)

    Examples
    --------
    >>> one = ops.ones((1, 2, 2, 1))
    >>> terms = generator_terms([ops.abs] * 3, [one] * 3, ops.stack([one] * 3), 3 * one, one, reconstruction=10)
    >>> ops.convert_to_numpy(terms).tolist()
    [-1.0, -1.0, -1.0, 40.0]
    """
    terms = [-ops.mean(fake_weights[k] * critic(fake[k])) for k, critic in enumerate(critics)]
    return ops.stack([*terms, reconstruction * ops.mean(ops.square(reconstructed - image))])
