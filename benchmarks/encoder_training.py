"""Train a net with the pretrained encoder: what the encoder's benchmarks share.

TensorFlow only: it is the fastest backend on a processor. The encoder has a learning rate of its own, the moving
average of all weights is kept, and a training continues from its last checkpoint.
"""

import json
import time
from dataclasses import dataclass

import cv2
import keras
import numpy as np

from hsn.images.read import resample
from hsn.images.symmetries import SYMMETRIES
from hsn.nets import encoder_unet

EVERY = 25  # steps between checkpoints


def single_thread():
    """Compute with one thread."""
    import tensorflow as tf

    cv2.setNumThreads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


@dataclass(frozen=True)
class Schedule:
    """Holds the numbers of a training: AdamW, linear warm-up, then a cosine.

    Attributes
    ----------
    steps, warmup : int
    rates : (float, float)
        Learning rates of the encoder and of the rest.
    decay : float
        Weight decay.
    floor : float
        Share of the learning rate at the end.
    ema : float
        Largest decay of the moving average of the weights; 0 keeps the last weights.
    """

    steps: int
    rates: tuple[float, float]
    warmup: int
    decay: float
    floor: float
    ema: float = 0.0

    def factor(self, step):
        """Return the share of the learning rates at a step."""
        cosine = 0.5 * (1 + np.cos(np.pi * step / self.steps))
        return min(1, (step + 1) / self.warmup) * (self.floor + (1 - self.floor) * cosine)


class Training:
    """One training that continues after an interruption.

    Each step draws its batch from a generator of its own number, so a checkpoint needs no generator's state.
    """

    def __init__(self, net, outputs, loss, folder, schedule):
        import tensorflow as tf

        self.net, self.folder, self.schedule = net, folder, schedule
        self.done, self.seconds, self.loss = 0, 0.0, None
        parts = [encoder_unet.extract_encoder(net).trainable_variables]
        ours = {id(v) for v in parts[0]}
        parts.append([v for v in net.trainable_variables if id(v) not in ours])
        self.optimizers = [
            keras.optimizers.AdamW(rate, weight_decay=schedule.decay, epsilon=1e-8) for rate in schedule.rates
        ]
        for optimizer, variables in zip(self.optimizers, parts, strict=True):
            optimizer.build(variables)
        self.average = [tf.Variable(w.value) for w in net.weights]
        model = keras.Model(net.input, outputs)

        @tf.function(reduce_retracing=True)
        def step(x, target, weight, keep):
            with tf.GradientTape() as tape:
                value = loss(model(x, training=True), target, weight)
            gradients = tape.gradient(value, parts)
            for optimizer, gradient, variables in zip(self.optimizers, gradients, parts, strict=True):
                optimizer.apply(gradient, variables)
            for mean, w in zip(self.average, net.weights, strict=True):
                mean.assign(keep * mean + (1 - keep) * w.value)
            return value

        self._step = step
        self._load()

    def run(self, batch_of):
        """Train to the last step; `batch_of(step)` gives image, target and weight."""
        plan = self.schedule
        while self.done < plan.steps:
            start = time.process_time()
            x, target, weight = batch_of(self.done)
            for optimizer, rate in zip(self.optimizers, plan.rates, strict=True):
                optimizer.learning_rate = rate * plan.factor(self.done)
            keep = min(plan.ema, (self.done + 1) / (self.done + 10))
            loss = float(self._step(x, target, weight, np.float32(keep)))
            assert np.isfinite(loss)
            self.loss = loss if self.loss is None else 0.95 * self.loss + 0.05 * loss
            self.done += 1
            self.seconds += time.process_time() - start
            if self.done % EVERY == 0 or self.done == plan.steps:
                self._save()
                row = {"folder": self.folder.name, "step": self.done, "loss": round(self.loss, 4),
                       "core_s": round(self.seconds)}  # fmt: skip
                print(json.dumps(row), flush=True)
        if plan.ema:
            for w, mean in zip(self.net.weights, self.average, strict=True):
                w.assign(mean)
        self.net.save(self.folder / "net.keras")

    def _state(self):
        kinds = [self.net.variables, self.average, *(o.variables for o in self.optimizers)]
        return [v for kind in kinds for v in kind]

    def _save(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"v{i}": np.asarray(v) for i, v in enumerate(self._state())}
        numbers = np.array([self.done, self.seconds, self.loss])
        with (self.folder / "part.npz").open("wb") as file:
            np.savez(file, numbers=numbers, **arrays)
        (self.folder / "part.npz").replace(self.folder / "checkpoint.npz")

    def _load(self):
        path = self.folder / "checkpoint.npz"
        if path.exists():
            with np.load(path) as archive:
                self.done, self.seconds, self.loss = archive["numbers"].tolist()
                self.done = int(self.done)
                for i, v in enumerate(self._state()):
                    v.assign(archive[f"v{i}"])


def predict(net, image, shape, *, tta):
    """Return the probabilities of a whole image at the net's scale.

    Parameters
    ----------
    net : keras.Model
        With one output.
    image : uint8 array (H, W, 3)
    shape : (int, int)
        Height and width at the net's scale.
    tta : bool
        Whether to average over eight symmetries.

    Returns
    -------
    float32 array, shape `shape` + (C,)
    """
    (height, width), divisor = shape, encoder_unet.size_divisor(net)
    x = encoder_unet.preprocess(image if image.shape[:2] == tuple(shape) else resample(image, shape))
    x = np.pad(x, ((0, -height % divisor), (0, -width % divisor), (0, 0)), mode="symmetric")
    ways = SYMMETRIES if tta else SYMMETRIES[:1]
    total = sum(
        way.back(np.asarray(net(np.ascontiguousarray(way.move(x))[None], training=False))[0]) for way in ways
    )
    return np.ascontiguousarray(total[:height, :width] / len(ways), np.float32)
