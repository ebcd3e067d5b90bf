"""What a painter of nuclei and its three critics want: the losses of the conditional SinGAN.

One critic looks at whole images, one at nuclei, one at what lies between them; the rest is hidden from it under one
colour:

    L_k = -mean(w_k D_k(real_k)) + mean(v_k D_k(made_k)) + p GP(D_k)                 of critic k
    L_G = -sum_k mean(v_k D_k(made_k)) + a MSE(G(reconstruction), image)             of the generator

with w_k and v_k the parts of the score maps that belong to what critic k looks at.

The released code masked made images in eight bits, outside of the gradient: the critics of nuclei and of background
learned, and the generator never heard of it. Here the mask is part of the computation.

It hides under black. A generator that hears its critics then learns to go on with black between nuclei that lie close,
as if more of them were hidden there. Under the mean colour of what a critic judges, going on with it does no harm.

References
----------
.. [1] Lou et al., "Which pixel to annotate", IEEE TMI 2022, and its released code.
.. [2] Shaham et al., "SinGAN", ICCV 2019.
"""

from keras import ops

PENALTY, RECONSTRUCTION = 0.1, 10.0  # weights of both papers
BLACK = -1.0  # of pixels in -1..1


def views(image, mask, *, hidden=((BLACK,), (BLACK,)), released=False):
    """What each critic sees of an image.

    Parameters
    ----------
    image : float tensor, shape (N, H, W, 3), in -1..1
    mask : float tensor, shape (N, H, W, 1)
        1 inside nuclei, -1 around them.
    hidden : array, shape (2, 3) or (2, 1), in -1..1
        The colour of what the critic of nuclei does not see, then of what that of the rest does not see.
    released : bool
        Masks as the released code did, through eight bits: no gradient passes.

    Returns
    -------
    list of three float tensors
        The image; with its nuclei alone; without its nuclei.

    Examples
    --------
    >>> whole, nuclei, between = views(ops.zeros((1, 1, 2, 3)), ops.reshape(ops.array([1.0, -1.0]), (1, 1, 2, 1)))
    >>> ops.convert_to_numpy(nuclei)[0, 0, :, 0].tolist(), ops.convert_to_numpy(between)[0, 0, :, 0].tolist()
    ([0.0, -1.0], [-1.0, 0.0])
    """
    inside = (mask + 1) / 2
    parts = [image]
    for part, color in zip((inside, 1 - inside), hidden, strict=True):
        parts.append(image * part + ops.convert_to_tensor(color, image.dtype) * (1 - part))
    if released:
        parts[1:] = [ops.stop_gradient(_in_eight_bits(part)) for part in parts[1:]]
    return parts


def _in_eight_bits(image):
    return ops.floor(255 * ops.clip((image + 1) / 2, 0, 1)) / 255 * 2 - 1


def critic_terms(critics, real, made, real_parts, made_parts, penalties, *, penalty=PENALTY):
    """The loss of each critic.

    Parameters
    ----------
    critics : three callables
        Images -> score maps (N, h, w, 1).
    real, made : lists of three float tensors
        As `views` gives them; `made` without a way back to the generator.
    real_parts, made_parts : float tensors, shape (3, N, h, w, 1)
        How much each score counts.
    penalties : list of three scalar tensors
        `gradient_penalty` of each critic.
    penalty : float

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
        apart = ops.mean(made_parts[k] * critic(made[k])) - ops.mean(real_parts[k] * critic(real[k]))
        terms.append(apart + penalty * penalties[k])
    return ops.stack(terms)


def generator_terms(critics, made, made_parts, painted, image, *, reconstruction=RECONSTRUCTION):
    """The loss of the generator: what each critic says, and how well the image itself is painted.

    Parameters
    ----------
    critics, made, made_parts
        As for `critic_terms`.
    painted, image : float tensors, shape (N, H, W, 3)
        What the generator makes of the reconstruction noise and the true layout; the true image.
    reconstruction : float

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
    heard = [-ops.mean(made_parts[k] * critic(made[k])) for k, critic in enumerate(critics)]
    return ops.stack([*heard, reconstruction * ops.mean(ops.square(painted - image))])
