"""The loop: it keeps the best epoch, hands the image to the loss, and stops where learning has failed."""

import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from hsn import InputError
from hsn.training.loop import Plan, learn


def line(penalty=None):
    x = layers.Input((1,))
    return keras.Model(
        x, layers.Dense(1, use_bias=False, kernel_initializer="zeros", kernel_regularizer=penalty)(x)
    )


def plan(monitors, *, epochs=None, target=2.0, weight=1.0):
    """Learn y = 2 x at a constant rate; validation gives the numbers of `monitors` one after the other."""
    values = iter(monitors)
    batch = (
        np.ones((4, 1), "float32"),
        np.full((4, 1), target, "float32"),
        np.full((4, 1), weight, "float32"),
    )
    return Plan(
        epochs=epochs or len(monitors), steps=2, batch=lambda epoch, step: batch, rate=lambda epoch: 0.1,
        validate=lambda: {"validation_loss": next(values)}, monitor="validation_loss",
    )  # fmt: skip


def squares(target, prediction, weight, image):
    return ops.mean(weight * ops.square(target - prediction) * image)


def run(net, the_plan, out, loss=squares):
    return learn(net, loss, the_plan, optimizer=keras.optimizers.SGD(), out=out, show=False)


def test_the_best_epoch_is_kept(tmp_path):
    nets = [line(), line()]
    history = run(nets[0], plan([3.0, 1.0, 2.0]), tmp_path / "three")
    assert history.best == 1
    assert history.column("validation_loss") == [3.0, 1.0, 2.0]
    assert history.column("rate") == [0.1] * 3
    run(nets[1], plan([3.0, 1.0]), tmp_path / "two")
    np.testing.assert_allclose(nets[0].get_weights()[0], nets[1].get_weights()[0], rtol=1e-6)


def test_a_higher_number_may_be_the_better_one(tmp_path):
    from dataclasses import replace

    history = run(line(), replace(plan([3.0, 1.0, 2.0]), monitor="-validation_loss"), tmp_path)
    assert history.best == 0


def test_only_one_state_stays_and_nothing_half_written(tmp_path):
    run(line(), plan([3.0, 2.0, 1.0]), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "best.weights.h5",
        "history.json",
        "state-0003.weights.h5",
    ]
    assert json.loads((tmp_path / "history.json").read_text())["state"] == "state-0003.weights.h5"


def test_the_nets_own_penalty_counts(tmp_path):
    free, decayed = line(), line(keras.regularizers.L2(1.0))
    run(free, plan([1.0, 0.5, 0.2]), tmp_path / "free")
    run(decayed, plan([1.0, 0.5, 0.2]), tmp_path / "decayed")
    assert decayed.get_weights()[0] < 0.9 * free.get_weights()[0]


def test_unknown_targets_teach_nothing(tmp_path):
    net = line()
    run(net, plan([1.0], weight=0.0), tmp_path)
    assert net.get_weights()[0] == 0


def test_a_loss_that_is_no_number_is_refused_and_the_last_state_stays(tmp_path):
    with pytest.raises(InputError, match="the loss is no number any more"):
        run(line(), plan([1.0], target=np.nan), tmp_path)
    assert not (tmp_path / "history.json").exists()


@pytest.mark.parametrize(
    "spoil", ["{", "[]", '{"epochs": []}', '{"epochs": [], "state": "../../etc/passwd"}']
)
def test_a_history_that_is_none_is_refused(tmp_path, spoil):
    (tmp_path / "history.json").write_text(spoil)
    with pytest.raises(InputError, match="holds a run that cannot be taken up"):
        run(line(), plan([1.0]), tmp_path)
