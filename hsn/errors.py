"""Errors that a user can act on.

``InputError`` is the only error that hsn raises for bad input. The command line prints it as one line and leaves with
exit code 2.
"""

from typing import Any


class InputError(ValueError):
    """Invalid input. The message is one sentence: the requirement, the given value, one hint.

    Parameters
    ----------
    code : str
        Stable name of the error, in lower case with hyphens: "image-dtype". Programs and tests match it.
    must : str
        Requirement, as the start of a sentence: "`image` must be uint8 (H, W, 3)".
    got : object
        The given value.
    hint : str
        Advice for the user.

    Attributes
    ----------
    code, hint : str

    Examples
    --------
    >>> error = InputError("mpp-positive", "`mpp` must be above 0", got=-1, hint="read it from the slide's properties")
    >>> print(error)
    `mpp` must be above 0; got -1; read it from the slide's properties.
    >>> error.code
    'mpp-positive'
    """

    def __init__(self, code: str, must: str, *, got: object, hint: str) -> None:
        super().__init__(f"{must}; got {got}; {hint}.")
        self.code = code
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.code, self.hint, str(self))


def _rebuild(code: str, hint: str, message: str) -> InputError:
    """Build an error from its parts, for pickle."""
    error = InputError.__new__(InputError)
    ValueError.__init__(error, message)
    error.code, error.hint = code, hint
    return error
