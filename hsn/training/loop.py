"""The training loop of all methods: trains, keeps the best epoch, and continues after being killed.

After each epoch one state (weights and optimizer) is on disk, with the history that names it; both are moved into place
whole. All random draws (order, crops, augmentation, dropout) follow from the seed and the number of the epoch. So a run
that was killed and continued ends like one that was not.
"""

import json
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from ..checks import one_of
from ..errors import InputError
from ..files import atomic_write
from ..nets.encoder_unet import encoder_variables
from ..progress import report
from ..types import History
from .schedules import cosine, warmup

HISTORY, BEST = "history.json", "best.weights.h5"
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
EXACT = ("probabilities",)  # layer of the final sigmoid or softmax: 16 bits would round values close to 1
EPOCH_DRAWS = 100_000  # seeds of one epoch's dropout: a layer counts one per step
ADAM_EPSILON = 1e-8  # of PyTorch, which the published systems used; Keras has 1e-7


class Learner(keras.Model):
    """A net with a loss that may use the image: ``loss(target, prediction, weight, image)``.

    Only the plain net inside is ever saved as a model.
    """

    def __init__(self, net, loss, *, weight_decay=0.0):
        super().__init__()
        self.net = net
        self._loss = loss
        self._weight_decay = weight_decay
        self.built = True  # as the net inside is: a state can be loaded before the first batch

    def call(self, x, training=False):
        """Return the output of the net."""
        return self.net(x, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss, the net's own penalties, and the decay of all weights."""
        value = self._loss(y, y_pred, sample_weight, x)
        if self._weight_decay:
            squares = sum(ops.sum(ops.square(ops.cast(w, "float32"))) for w in self.net.trainable_weights)
            value = value + 0.5 * self._weight_decay * squares
        return value + sum(self.net.losses) if self.net.losses else value


@dataclass(frozen=True)
class LoopSpec:
    """What a training run does: `epochs` epochs of `steps` batches.

    Attributes
    ----------
    epochs, steps : int
    batch : callable
        ``(epoch, step) -> (x, target, weight)``: arrays of one step; must depend on nothing else. It is called in a
        thread, one step ahead.
    learning_rate : callable
        Learning rate at a time in epochs.
    validate : callable
        ``() -> dict`` of scores after an epoch.
    monitor : str
        Score that decides which epoch is best; the lowest, or with a leading "-" the highest.
    complete : callable, optional
        ``batch -> (x, target, weight)``: work that is left to do after the net has learned from the batch before, so
        that it may use the net.
    stage : str
        Name of the work in progress events.
    """

    epochs: int
    steps: int
    batch: Callable[[int, int], tuple]
    learning_rate: Callable[[float], float]
    validate: Callable[[], dict[str, float]]
    monitor: str
    complete: Callable[[tuple], tuple] | None = None
    stage: str = "training"

    @classmethod
    def of(cls, train, *, epochs=None, factor=None, **arguments) -> "LoopSpec":
        """Return the spec of a `TrainConfig`: a cosine from its highest to its lowest rate.

        Parameters
        ----------
        train : TrainConfig
        epochs : int, optional
            Default: those of `train`.
        factor : float, optional
            Constant rate instead, as a share of the highest.
        **arguments
            The other attributes of `LoopSpec`.
        """
        epochs = train.epochs if epochs is None else epochs

        def learning_rate(epoch):
            if factor is not None:
                return train.learning_rate * factor
            rate = cosine(epoch / epochs, lowest=train.min_learning_rate, highest=train.learning_rate)
            return rate * warmup(epoch * arguments["steps"], train.warmup_steps)

        return cls(epochs=epochs, learning_rate=learning_rate, **arguments)


class SlowEncoderAdamW(keras.optimizers.AdamW):
    """AdamW with a lower learning rate for some variables: those of a pretrained encoder.

    Parameters
    ----------
    slow : sequence of keras.Variable
    factor : float
        Their learning rate as a share of that of the others.
    **arguments
        Those of `keras.optimizers.AdamW`.
    """

    def __init__(self, slow, factor, **arguments):
        super().__init__(**arguments)
        self._slow, self._factor = {id(v) for v in slow}, factor

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        pairs = list(zip(grads, trainable_variables, strict=True))
        for is_slow, factor in ((True, self._factor), (False, 1.0)):
            chosen = [(g, v) for g, v in pairs if (id(v) in self._slow) == is_slow]
            if chosen:
                super()._backend_update_step(*map(list, zip(*chosen, strict=True)), learning_rate * factor)


def adam(train, *, encoder=(), **arguments):
    """Return the optimizer of a `TrainConfig`.

    Parameters
    ----------
    train : TrainConfig
    encoder : sequence of keras.Variable
        Variables that `encoder_rate_factor` slows down.
    **arguments
        Go to Keras.
    """
    arguments = {
        "epsilon": ADAM_EPSILON,
        "gradient_accumulation_steps": train.accumulate_batches if train.accumulate_batches > 1 else None,
        "beta_1": train.betas[0],
        "beta_2": train.betas[1],
        "use_ema": train.ema_momentum > 0,
        "ema_momentum": train.ema_momentum,
    } | arguments
    if train.optimizer == "adam":
        return keras.optimizers.Adam(**arguments)
    arguments["weight_decay"] = train.weight_decay
    return SlowEncoderAdamW(encoder, train.encoder_rate_factor, **arguments)


def fit_net(net, loss, spec, *, out, train=None, optimizer=None, jit_compile=None, progress=None):
    """Train `net` in place; afterwards it holds the weights of the best epoch.

    Parameters
    ----------
    net : keras.Model
    loss : callable
        ``(target, prediction, weight, image) -> scalar``.
    spec : LoopSpec
    out : path
        Folder for `history.json` and the state. A run that finds its own state there continues; with more epochs than
        before, the schedule of the new number holds from the next epoch on.
    train : TrainConfig, optional
        Its `weight_decay` and `precision` count. The net computes in that precision during training; its weights, and
        the net afterwards, are float32. Default: no decay, float32.
    optimizer : keras.optimizers.Optimizer, optional
        Default: `adam(train)`.
    jit_compile : bool or "auto", optional
        Whether the backend compiles a step as a whole. Default: not with TensorFlow, where XLA takes a minute to
        compile a net with skips and is slower on CPUs.
    progress : callable, optional
        Gets an event a step, with `epoch`, `step`, `loss` and the last validation scores; may raise `Cancelled`.

    Returns
    -------
    History
        Per epoch: `epoch`, `rate`, `loss`, and what `spec.validate` gave.

    Raises
    ------
    InputError
        "state-unusable" if the state in `out` belongs to another net; "loss-not-finite".
    """
    precision = train.precision if train else "float32"
    decay = train.weight_decay if train and train.optimizer == "adam" else 0.0
    optimizer = adam(train, encoder=encoder_variables(net)) if optimizer is None else optimizer
    if jit_compile is None:
        jit_compile = False if keras.backend.backend() == "tensorflow" else "auto"
    with computing_in(net, precision):
        if precision == "mixed_float16":  # small gradients would vanish in 5 bits of exponent
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        learner = Learner(net, loss, weight_decay=decay)
        learner.compile(optimizer=optimizer, jit_compile=jit_compile)
        return _run_epochs(learner, spec, Path(out), progress)


@contextmanager
def computing_in(net, precision):
    """Let the layers of a net compute in another precision, except those that must be exact.

    Examples
    --------
    >>> net = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    >>> with computing_in(net, "mixed_bfloat16"):
    ...     net.layers[0].compute_dtype
    'bfloat16'
    >>> net.layers[0].compute_dtype
    'float32'
    """
    one_of("precision", precision, PRECISIONS)
    mixed = [] if precision == "float32" else [layer for layer in net.layers if layer.name not in EXACT]
    before = [layer.dtype_policy for layer in mixed]
    for layer in mixed:
        layer.dtype_policy = precision
    try:
        yield
    finally:
        for layer, policy in zip(mixed, before, strict=True):
            layer.dtype_policy = policy


@contextmanager
def averaged(learner):
    """Give the net the moving average of its weights, if the optimizer keeps one, and the weights themselves after."""
    optimizer = getattr(learner.optimizer, "inner_optimizer", learner.optimizer)
    if not optimizer.use_ema:
        yield
        return
    variables = learner.trainable_variables
    before = [ops.convert_to_numpy(v) for v in variables]
    optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _run_epochs(learner, spec, out, progress):
    learner.optimizer.build(learner.trainable_variables)  # or TensorFlow traces the first step twice
    rows = _resume(learner, out)
    total = spec.epochs * spec.steps
    for epoch in range(len(rows), spec.epochs):
        _seed_dropout(learner.net, epoch)
        losses: list[float] = []
        scores = {k: v for k, v in rows[-1].items() if k.startswith("validation")} if rows else {}
        report(progress, spec.stage, epoch * spec.steps, total, epoch=epoch + 1, **scores)
        for step, drawn in enumerate(_batches(spec, epoch)):
            x, target, weight = spec.complete(drawn) if spec.complete else drawn
            learner.optimizer.learning_rate = spec.learning_rate(epoch + step / spec.steps)
            losses.append(learner.train_on_batch(x, target, sample_weight=weight))
            now = {"epoch": epoch + 1, "step": step + 1, "loss": float(losses[-1]), **scores}
            report(progress, spec.stage, epoch * spec.steps + step + 1, total, **now)
        row = {"epoch": epoch + 1, "rate": float(spec.learning_rate(epoch)), "loss": float(np.mean(losses))}
        if not np.isfinite(row["loss"]):
            raise InputError(
                "loss-not-finite",
                "the loss must be a finite number",
                got=row["loss"],
                hint="lower the learning rate and start again in an empty folder",
            )
        with averaged(learner):
            rows.append(row | {k: float(v) for k, v in spec.validate().items()})
        _keep(learner, rows, _best(rows, spec.monitor), out)
    best = _best(rows, spec.monitor)
    if rows:
        learner.net.load_weights(out / BEST)
        report(progress, spec.stage, total, total, **rows[-1])
    return History(tuple(rows), best)


def _batches(spec, epoch):
    """Yield the batches of an epoch; each is drawn while the net learns from the one before."""
    with ThreadPoolExecutor(max_workers=1) as drawing:
        drawn = drawing.submit(spec.batch, epoch, 0)
        for step in range(spec.steps):
            ready = drawn.result()
            if step + 1 < spec.steps:
                drawn = drawing.submit(spec.batch, epoch, step + 1)
            yield ready


def _seed_dropout(net, epoch):
    """Set the seeds of random layers from the epoch's number: Keras does not save their state."""
    for k, layer in enumerate(layer for layer in net.layers if hasattr(layer, "seed_generator")):
        layer.seed_generator.state.assign(np.array([k, epoch * EPOCH_DRAWS], "uint32"))


def _best(rows, monitor) -> int | None:
    """Return the index of the best epoch; of equals the first."""
    sign, name = (-1, monitor[1:]) if monitor.startswith("-") else (1, monitor)
    return min(range(len(rows)), key=lambda k: sign * rows[k][name], default=None)


def _keep(learner, rows, best, out):
    """Write the state under a name of its own, then the history that names it, then remove older states."""
    state = out / f"state-{len(rows):04d}.weights.h5"
    with atomic_write(state) as temporary:
        learner.save_weights(temporary)
    if best == len(rows) - 1:
        with averaged(learner), atomic_write(out / BEST) as temporary:
            learner.net.save_weights(temporary)
    with atomic_write(out / HISTORY) as temporary:
        temporary.write_text(json.dumps({"epochs": rows, "best": best, "state": state.name}, indent=1))
    for old in out.glob("state-*.weights.h5"):
        if old != state:
            old.unlink()


def _resume(learner, out) -> list[dict[str, Any]]:
    """Load the state in `out`, if there is one; return the epochs so far."""
    path = out / HISTORY
    if not path.exists():
        return []
    try:
        history = json.loads(path.read_text())
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras only warns where a file does not fit
            learner.load_weights(out / Path(history["state"]).name)
        return history["epochs"]
    except (ValueError, KeyError, OSError, TypeError, UserWarning) as error:
        raise InputError(
            "state-unusable",
            f"{out} must hold the state of this net",
            got=str(error).splitlines()[0],
            hint="choose an empty folder to start anew",
        ) from None
