"""Refusals: one sentence that says what is wrong, what was expected, what came, and what to do."""

import numpy as np


class Refusal(ValueError):  # noqa: N818 - it says what it is
    """An input that hsn cannot use; its message is one sentence that a user can act on.

    Examples
    --------
    >>> try:
    ...     refuse("the scale is no number", expected="micrometres per pixel", received="20x", remedy="write 0.5")
    ... except Refusal as refusal:
    ...     print(refusal)
    the scale is no number; expected micrometres per pixel, received 20x; write 0.5.
    """


def refuse(what, *, expected, received, remedy):
    """Raise a `Refusal` of the house's one form.

    Parameters
    ----------
    what : str
        What is wrong, as the start of a sentence: "`image` must be 8-bit RGB".
    expected, received : object
        What would have been right, and what came.
    remedy : str
        What the user can do about it.

    Raises
    ------
    Refusal
        Always.

    Examples
    --------
    >>> refuse("`sigma_px` must be positive", expected="a number above 0", received=-1, remedy="give a width in pixels")
    Traceback (most recent call last):
        ...
    hsn._refuse.Refusal: `sigma_px` must be positive; expected a number above 0, received -1; give a width in pixels.
    """
    raise Refusal(f"{what}; expected {expected}, received {received}; {remedy}.")


def as_image(image, name="image"):
    """Return `image` as it is if it is uint8 (H, W, 3) with at least one pixel; refuse it otherwise.

    Examples
    --------
    >>> as_image(np.zeros((2, 3, 3), np.uint8)).shape
    (2, 3, 3)
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        refuse(
            f"`{name}` must be an 8-bit RGB image",
            expected="uint8 (height, width, 3) with at least one pixel",
            received=f"{image.dtype} {image.shape}",
            remedy="read files with hsn.images.read, which converts what can be converted",
        )
    return image


LEAST_PX = 16  # a smaller image holds nothing that could be told


def as_segmentable(image, *, most_pixels):
    """Return `image` if it is an image, neither too small to hold anything nor too large to be held at once.

    Examples
    --------
    >>> as_segmentable(np.zeros((16, 20, 3), np.uint8), most_pixels=1000).shape
    (16, 20, 3)
    """
    image = as_image(image)
    height, width = image.shape[:2]
    if min(height, width) < LEAST_PX:
        refuse(
            "the image is too small to tell anything",
            expected=f"{LEAST_PX} x {LEAST_PX} pixels or more",
            received=f"{height} x {width}",
            remedy="give a larger piece of the slide",
        )
    if height * width > most_pixels:
        refuse(
            "the image is too large to be segmented at once",
            expected=f"at most {most_pixels:,} pixels for this net",
            received=f"{height} x {width}",
            remedy="cut it into pieces, or shrink it and say its new `mpp`",
        )
    return image


def as_scale(mpp):
    """Return `mpp`, micrometres per pixel, if it is a scale.

    Examples
    --------
    >>> as_scale(0.25)
    0.25
    """
    if not mpp > 0:
        refuse(
            "`mpp` must be positive",
            expected="micrometres per pixel",
            received=mpp,
            remedy="read it from the slide's properties",
        )
    return mpp
