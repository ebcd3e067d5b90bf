"""The loop: it learns, keeps the best, can be killed at any moment and goes on where the last epoch ended.

What is on disk after each epoch is one state (weights, optimiser) and the history that names it; both are moved into
place whole. All that is random (order, augmentation, dropout) is drawn from the seed and the epoch's number, so that a
run that was killed and resumed ends like one that was not.
"""

import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import ops
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import refuse
from ..files import atomic_write
from ..types import History

HISTORY = "history.json"
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
EXACT = (
    "probabilities",
)  # the layer of the final sigmoid or softmax: 16 bits would round what is nearly sure
EPOCH_DRAWS = 100_000  # room for the draws of one epoch: a layer counts one per step


class Learner(keras.Model):
    """A net together with a loss that may look at the image: ``loss(target, prediction, weight, image)``.

    Only the plain net inside is ever saved as a model.
    """

    def __init__(self, net, loss, *, weight_decay=0.0):
        super().__init__()
        self.net = net
        self._loss = loss
        self._weight_decay = weight_decay
        self.built = True  # as the net inside is: a state can be loaded before the first batch

    def call(self, x, training=False):
        """The net's own output."""
        return self.net(x, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss, the net's own penalties, and the decay of all weights, which thus goes through the optimiser."""
        value = self._loss(y, y_pred, sample_weight, x)
        if self._weight_decay:
            squares = sum(ops.sum(ops.square(ops.cast(w, "float32"))) for w in self.net.trainable_weights)
            value = value + 0.5 * self._weight_decay * squares
        return value + sum(self.net.losses) if self.net.losses else value


@dataclass(frozen=True)
class Plan:
    """What a run does: `epochs` epochs of `steps` batches.

    Attributes
    ----------
    epochs, steps : int
    batch : callable
        ``(epoch, step) -> (x, target, weight)``: arrays for one step; must depend on nothing else. It is called in
        a thread, one step ahead.
    rate : callable
        Learning rate at a time in epochs.
    validate : callable
        ``() -> dict`` of numbers after an epoch.
    monitor : str
        Which of these numbers decides which epoch is best; the lowest, or with a leading "-" the highest.
    finish : callable, optional
        ``drawn -> (x, target, weight)``: what is left to do to what `batch` has drawn. It is called when the net has
        learned from the batch before, so it may ask the net.
    """

    epochs: int
    steps: int
    batch: callable
    rate: callable
    validate: callable
    monitor: str
    finish: callable = None


def learn(
    net, loss, plan, *, optimizer, out, weight_decay=0.0, precision="float32", jit_compile="auto", show=True
):
    """Train `net` in place by `plan`; afterwards it holds the best epoch's weights.

    Parameters
    ----------
    net : keras.Model
    loss : callable
        ``(target, prediction, weight, image) -> scalar``.
    plan : Plan
    optimizer : keras.optimizers.Optimizer
    out : path
        Folder for `history.json` and the state; a run that finds its own state there goes on from it.
    weight_decay : float
        Half the squares of all weights times this are added to the loss, so the gradient has ``weight_decay * w``.
    precision : {"float32", "mixed_float16", "mixed_bfloat16"}
        What the net computes in while it learns; its weights, and the net afterwards, are float32. For gradients
        over several batches give an optimiser with `gradient_accumulation_steps`.
    jit_compile : bool or "auto"
        Whether the backend compiles a step as a whole; see `keras.Model.compile`.
    show : bool
        Whether to show a progress bar.

    Returns
    -------
    History
        Per epoch: `epoch`, `rate`, `loss`, and what `validate` gave.

    Raises
    ------
    InputError
        If the state in `out` belongs to another net, or the loss is no number any more.
    """
    with computing_in(net, precision):
        if precision == "mixed_float16":  # small gradients would vanish in 5 bits of exponent
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        learner = Learner(net, loss, weight_decay=weight_decay)
        learner.compile(optimizer=optimizer, jit_compile=jit_compile)
        return _learn(net, learner, plan, Path(out), show)


@contextmanager
def computing_in(net, precision):
    """Let the layers of a net compute in another precision, those with float32 of their own excepted.

    Examples
    --------
    >>> net = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    >>> with computing_in(net, "mixed_bfloat16"):
    ...     net.layers[0].compute_dtype
    'bfloat16'
    >>> net.layers[0].compute_dtype
    'float32'
    """
    if precision not in PRECISIONS:
        refuse("this precision does not exist", expected=", ".join(PRECISIONS), received=repr(precision),
               remedy="choose one of these")  # fmt: skip
    mixed = [] if precision == "float32" else [layer for layer in net.layers if layer.name not in EXACT]
    before = [layer.dtype_policy for layer in mixed]
    for layer in mixed:
        layer.dtype_policy = precision
    try:
        yield
    finally:
        for layer, policy in zip(mixed, before, strict=True):
            layer.dtype_policy = policy


def _learn(net, learner, plan, out, show):
    learner.optimizer.build(learner.trainable_variables)  # or TensorFlow traces the first step twice
    rows, best = _resume(learner, plan, out)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not show) as progress:
        task = progress.add_task("learning", total=plan.epochs * plan.steps, completed=len(rows) * plan.steps)
        for epoch in range(len(rows), plan.epochs):
            losses = []
            _seed_dropout(net, epoch)
            for step, drawn in enumerate(_batches(plan, epoch)):
                x, target, weight = plan.finish(drawn) if plan.finish else drawn
                learner.optimizer.learning_rate = plan.rate(epoch + step / plan.steps)
                losses.append(learner.train_on_batch(x, target, sample_weight=weight))
                progress.advance(task)
            row = {"epoch": epoch + 1, "rate": float(plan.rate(epoch)), "loss": float(np.mean(losses))}
            if not np.isfinite(row["loss"]):
                refuse("learning has failed: the loss is no number any more", expected="a finite loss",
                       received=row["loss"], remedy="lower the learning rate and start again")  # fmt: skip
            rows.append(row | {k: float(v) for k, v in plan.validate().items()})
            best = _best(rows, plan.monitor)
            _keep(learner, rows, best, out)
            progress.update(task, description=_line(rows[-1], plan.monitor.lstrip("-")))
    if best is not None:
        net.load_weights(out / "best.weights.h5")
    return History(tuple(rows), best)


def _batches(plan, epoch):
    """The batches of an epoch; each is drawn while the net learns from the one before."""
    with ThreadPoolExecutor(max_workers=1) as drawing:
        drawn = drawing.submit(plan.batch, epoch, 0)
        for step in range(plan.steps):
            ready = drawn.result()
            if step + 1 < plan.steps:
                drawn = drawing.submit(plan.batch, epoch, step + 1)
            yield ready


def _seed_dropout(net, epoch):
    """Begin each epoch from a state of its own: Keras does not save the state of random layers."""
    for k, layer in enumerate(layer for layer in net.layers if hasattr(layer, "seed_generator")):
        layer.seed_generator.state.assign(np.array([k, epoch * EPOCH_DRAWS], "uint32"))


def _line(row, monitor):
    return f"epoch {row['epoch']}: loss {row['loss']:.3f}, {monitor} {row[monitor]:.3f}"


def _best(rows, monitor):
    sign, name = (-1, monitor[1:]) if monitor.startswith("-") else (1, monitor)
    return min(range(len(rows)), key=lambda k: sign * rows[k][name])


def _keep(learner, rows, best, out):
    """Write the state under a name of its own, then the history that points to it, then drop older states."""
    state = out / f"state-{len(rows):04d}.weights.h5"
    with atomic_write(state) as temporary:
        learner.save_weights(temporary)
    if best == len(rows) - 1:
        with atomic_write(out / "best.weights.h5") as temporary:
            learner.net.save_weights(temporary)
    with atomic_write(out / HISTORY) as temporary:
        temporary.write_text(json.dumps({"epochs": rows, "best": best, "state": state.name}, indent=1))
    for old in out.glob("state-*.weights.h5"):
        if old != state:
            os.remove(old)


def _resume(learner, plan, out):
    """Take up the state in `out`, if there is one: rows so far and the best of them."""
    path = out / HISTORY
    if not path.exists():
        return [], None
    try:
        history = json.loads(path.read_text())
        rows, state = history["epochs"], out / Path(history["state"]).name
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras only warns where a file does not fit
            learner.load_weights(state)
    except (ValueError, KeyError, OSError, TypeError, UserWarning) as error:
        refuse(f"{out} holds a run that cannot be taken up", expected="the state of this same net",
               received=str(error).splitlines()[0], remedy="choose an empty folder to start anew")  # fmt: skip
    return rows, _best(rows, plan.monitor) if rows else None
