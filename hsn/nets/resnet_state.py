"""A ResNet's weights from torch: into the encoder of a ResUNet, into a whole one, or as an encoder alone.

The files are torchvision's ResNet-18, -34 and -50, and what the release of Qu et al. (IEEE TMI 2020) saves. "module."
(of a data-parallel wrapper) and "resnet." (the release's) before the names are ignored, and so are ImageNet's classes
("fc."), which the release keeps unused. `hsn.models.torch_file.read_state` reads `.safetensors` and `.npz`.
"""

from ..errors import refuse
from . import resunet, torch_state


def load_encoder(net, state):
    """Put a ResNet's weights into the encoder of a ResUNet; the decoder stays.

    Parameters
    ----------
    net : keras.Model
        Of `hsn.nets.resunet`, with width 64 for torchvision's.
    state : mapping of str to array
        A `state_dict` of torchvision's ResNet ("conv1.weight", "layer1.0.bn2.running_var", ...), or of a ResUNet,
        whose decoder is not looked at.

    Raises
    ------
    InputError
        If it is a ResNet of another depth or width; nothing is changed then.

    Examples
    --------
    >>> load_encoder(resunet.build(1, depth=18, width=2), {})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    hsn.errors.InputError: `conv1.weight` does not fit; expected ...
    """
    decoder = tuple(f"{unit}." for unit in (*resunet.DECODER, resunet.HEAD))
    of_encoder = {name: array for name, array in _bare(state).items() if not name.startswith(decoder)}
    _assign(resunet.encoder_of(net), of_encoder)


def load(net, state):
    """Put all weights of the release's ResUNet into one of this library.

    Parameters
    ----------
    net : keras.Model
        Of `hsn.nets.resunet`, with the depth and the outputs of the release's.
    state : mapping of str to array
        Its `state_dict`: torchvision's names, then "u5.up", "u5.conv1.conv", "u5.conv1.norm", "u5.conv2.conv",
        "u5.conv2.norm", the same for u6, u7 and u8, and "ce"; each followed by ".weight", ".bias", ".running_mean"
        or ".running_var".

    Raises
    ------
    InputError
        If anything is missing, left over, or of another shape; nothing is changed then.

    Examples
    --------
    >>> load(resunet.build(1, depth=18, width=2), {})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    hsn.errors.InputError: `conv1.weight` does not fit; expected ...
    """
    _assign(net, _bare(state))


def encoder_from(state):
    """The ResNet that a `state_dict` is of, without its classes.

    Parameters
    ----------
    state : mapping of str to array
        As `load_encoder` takes it; depth and width are told by it.

    Returns
    -------
    keras.Model
        (N, H, W, 3) -> (N, H / 32, W / 32, d), with 512 or, of a ResNet-50, 2048 channels.

    Raises
    ------
    InputError
        If it is no ResNet of a depth that is known here.

    Examples
    --------
    >>> encoder_from({})
    Traceback (most recent call last):
    hsn.errors.InputError: these weights are of no ResNet that is known here; expected ResNet-18, -34 or -50 of \
torchvision, received stages of 0, 0, 0, 0 blocks; save the state_dict of one of these.
    """
    bare = _bare(state)
    counts = [
        len({name.split(".")[1] for name in bare if name.startswith(f"layer{s}.")}) for s in (1, 2, 3, 4)
    ]
    kind = tuple(counts), "layer1.0.conv3.weight" in bare
    depth = next((depth for depth, known in resunet.BLOCKS.items() if known == kind), None)
    if depth is None or "conv1.weight" not in bare:
        refuse("these weights are of no ResNet that is known here", expected="ResNet-18, -34 or -50 of torchvision",
               received=f"stages of {', '.join(map(str, counts))} blocks",
               remedy="save the state_dict of one of these")  # fmt: skip
    net = resunet.build(1, depth=depth, width=len(bare["conv1.weight"]))
    load_encoder(net, state)
    return resunet.encoder_of(net)


def _bare(state):
    """A state without what torch's wrappers put before its names, and without ImageNet's classes."""
    bare = {name.removeprefix("module.").removeprefix("resnet."): array for name, array in state.items()}
    return {name: array for name, array in bare.items() if not name.startswith("fc.")}


def _assign(net, state):
    torch_state.assign(net, state, names=[layer.name for layer in net.layers if layer.weights])
