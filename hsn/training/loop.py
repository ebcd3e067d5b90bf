"""The training loop of all methods: train, keep the best epoch, resume killed runs.

After each epoch the state (weights and optimizer) and the history are written atomically. All random numbers (order,
crops, augmentation, dropout) depend on the seed and the epoch. A killed and resumed run therefore ends with the same
weights as an uninterrupted one.
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
from .run import write_weights
from .schedules import cosine, warmup

HISTORY, BEST = "history.json", "best.weights.h5"
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
# Layers of the final sigmoid or softmax: 16 bits would round values close to 1.
EXACT = ("probabilities", "objects", "tissue")
EPOCH_DRAWS = 100_000  # distance of the dropout seeds of two epochs; above the number of steps
ADAM_EPSILON = 1e-8  # PyTorch's default, used by the published systems; Keras has 1e-7


class Learner(keras.Model):
    """A net with a loss that may use the image: ``loss(target, prediction, weight, image)``.

    Trained folders hold only `net`.
    """

    def __init__(self, net, loss, *, weight_decay=0.0):
        # The name is stored. Without one, Keras counts the learners of the process.
        super().__init__(name="learner")
        self.net = net
        self._loss = loss
        self._weight_decay = weight_decay
        self.built = True  # a state can then be loaded before the first batch

    def call(self, x, training=False):
        """Return the output of the net."""
        return self.net(x, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the sum of the loss, the penalties of the net's layers, and the weight decay."""
        value = self._loss(y, y_pred, sample_weight, x)
        if self._weight_decay:
            squares = sum(ops.sum(ops.square(ops.cast(w, "float32"))) for w in self.net.trainable_weights)
            value = value + 0.5 * self._weight_decay * squares
        return value + sum(self.net.losses) if self.net.losses else value


@dataclass(frozen=True)
class LoopSpec:
    """Specifies a training run of `epochs` epochs with `steps` batches each.

    Attributes
    ----------
    epochs, steps : int
    batch : callable
        ``(epoch, step) -> (x, target, weight)``: arrays of one step, which must depend on the arguments only. It is
        called in a thread, one step ahead.
    learning_rate : callable
        Function of the time in epochs.
    validate : callable
        ``() -> dict`` of scores after an epoch.
    monitor : str
        Score of the best epoch: the lowest value wins, or with a leading "-" the highest.
    complete : callable, optional
        ``batch -> (x, target, weight)``: called in the main thread after the previous step, so that it may use the net.
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
        """Make the spec of a `TrainConfig`, with its cosine schedule.

        Parameters
        ----------
        train : TrainConfig
        epochs : int, optional
            Default: `train.epochs`.
        factor : float, optional
            Use a constant learning rate: this fraction of `train.learning_rate`.
        **arguments
            Other attributes of `LoopSpec`.
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
        "name": "optimizer",  # stored, as that of the learner
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
    """Train a net in place; at the end it has the weights of the best epoch.

    Parameters
    ----------
    net : keras.Model
    loss : callable
        ``(target, prediction, weight, image) -> scalar``.
    spec : LoopSpec
    out : path
        Folder for `history.json` and the state. A run with a state continues. More epochs than before extend it: the
        new schedule applies from the next epoch on.
    train : TrainConfig, optional
        `weight_decay` and `precision` are used. Training computes in that precision; weights, and the trained net, are
        float32. Default: no decay, float32.
    optimizer : keras.optimizers.Optimizer, optional
        Default: `adam(train)`.
    jit_compile : bool or "auto", optional
        Whether the backend compiles a step. Default: False for TensorFlow, because XLA compiles nets with skips slowly
        and is slower on CPUs; "auto" for the others.
    progress : callable, optional
        Called after each step with `epoch`, `step`, `loss` and the last validation scores; may raise `Cancelled`.

    Returns
    -------
    History
        Per epoch: `epoch`, `rate`, `loss`, and the scores of `spec.validate`.

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
        if precision == "mixed_float16":  # float16 rounds small gradients to 0
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        learner = Learner(net, loss, weight_decay=decay)
        learner.compile(optimizer=optimizer, jit_compile=jit_compile)
        return _run_epochs(learner, spec, Path(out), progress)


@contextmanager
def computing_in(net, precision):
    """Set the compute precision of all layers except `EXACT` while the block runs.

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
    learner.optimizer.build(learner.trainable_variables)  # otherwise TensorFlow traces the first step twice
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
            values = {"epoch": epoch + 1, "step": step + 1, "loss": float(losses[-1]), **scores}
            report(progress, spec.stage, epoch * spec.steps + step + 1, total, **values)
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
    """Yield the batches of an epoch; a thread draws the next batch during the current step."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        future = executor.submit(spec.batch, epoch, 0)
        for step in range(spec.steps):
            batch = future.result()
            if step + 1 < spec.steps:
                future = executor.submit(spec.batch, epoch, step + 1)
            yield batch


def _seed_dropout(net, epoch):
    """Seed the random layers by the epoch; Keras does not save their state."""
    for k, layer in enumerate(layer for layer in net.layers if hasattr(layer, "seed_generator")):
        layer.seed_generator.state.assign(np.array([k, epoch * EPOCH_DRAWS], "uint32"))


def _best(rows, monitor) -> int | None:
    """Return the index of the best epoch; ties take the first."""
    sign, name = (-1, monitor[1:]) if monitor.startswith("-") else (1, monitor)
    return min(range(len(rows)), key=lambda k: sign * rows[k][name], default=None)


def _keep(learner, rows, best, out):
    """Write the state, then the history with the name of the state; then remove older states."""
    state = out / f"state-{len(rows):04d}.weights.h5"
    write_weights(state, learner, states=3)
    if best == len(rows) - 1:
        with averaged(learner):
            write_weights(out / BEST, learner.net)
    with atomic_write(out / HISTORY) as temporary:
        temporary.write_text(json.dumps({"epochs": rows, "best": best, "state": state.name}, indent=1))
    _remove_other_states(state)


def _remove_other_states(state):
    """Remove the states of earlier epochs, and one that was written before a kill but is not in the history."""
    for other in state.parent.glob("state-*.weights.h5"):
        if other != state:
            other.unlink()


def _resume(learner, out) -> list[dict[str, Any]]:
    """Load the state in `out`, if it exists; return the rows of the finished epochs."""
    path = out / HISTORY
    if not path.exists():
        return []
    try:
        history = json.loads(path.read_text())
        state = out / Path(history["state"]).name
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras only warns if a file does not fit
            learner.load_weights(state)
        _remove_other_states(state)
        return history["epochs"]
    except (ValueError, KeyError, OSError, TypeError, UserWarning) as error:
        raise InputError(
            "state-unusable",
            f"{out} must hold the state of this net",
            got=str(error).splitlines()[0],
            hint="choose an empty folder to start again",
        ) from None
