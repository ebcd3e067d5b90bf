"""The loop: it keeps the best epoch, passes the image to the loss, and stops if the loss is not finite."""

import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from hsn.config import TrainConfig
from hsn.progress import Cancelled
from hsn.training.loop import LoopSpec, fit_net
from hsn.training.schedules import cosine


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
    return LoopSpec(
        epochs=epochs or len(monitors), steps=2, batch=lambda epoch, step: batch, learning_rate=lambda epoch: 0.1,
        validate=lambda: {"validation_loss": next(values)}, monitor="validation_loss",
    )  # fmt: skip


def squares(target, prediction, weight, image):
    return ops.mean(weight * ops.square(target - prediction) * image)


def run(net, the_plan, out, loss=squares):
    return fit_net(net, loss, the_plan, optimizer=keras.optimizers.SGD(), out=out)


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


def test_unknown_targets_do_not_change_the_weights(tmp_path):
    net = line()
    run(net, plan([1.0], weight=0.0), tmp_path)
    assert net.get_weights()[0] == 0


def test_a_loss_that_is_not_finite_is_an_error_and_the_last_state_stays(tmp_path, raises_code):
    with raises_code("loss-not-finite"):
        run(line(), plan([1.0], target=np.nan), tmp_path)
    assert not (tmp_path / "history.json").exists()


@pytest.mark.parametrize(
    "spoil", ["{", "[]", '{"epochs": []}', '{"epochs": [], "state": "../../etc/passwd"}']
)
def test_a_damaged_history_is_an_error(tmp_path, spoil, raises_code):
    (tmp_path / "history.json").write_text(spoil)
    with raises_code("state-unusable"):
        run(line(), plan([1.0]), tmp_path)


def test_progress_counts_steps_over_all_epochs_and_gives_the_last_scores(tmp_path):
    events = []
    fit_net(
        line(),
        squares,
        plan([3.0, 1.0]),
        optimizer=keras.optimizers.SGD(),
        out=tmp_path,
        progress=events.append,
    )
    steps = [event for event in events if "step" in event.values]
    assert [(event.done, event.total) for event in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {event.stage for event in events} == {"training"}
    assert [event.values["epoch"] for event in steps] == [1, 1, 2, 2]
    assert steps[2].values["validation_loss"] == 3.0
    assert np.isfinite(steps[0].values["loss"])


def test_a_cancelled_run_continues_after_its_last_whole_epoch(tmp_path):
    def cancel(event):
        if event.done == 3:
            raise Cancelled

    run(line(), plan([3.0, 1.0, 2.0]), tmp_path / "whole")
    with pytest.raises(Cancelled):
        fit_net(line(), squares, plan([3.0, 1.0, 2.0]), optimizer=keras.optimizers.SGD(), out=tmp_path / "parts",
                progress=cancel)  # fmt: skip
    net = line()
    history = run(net, plan([1.0, 2.0], epochs=3), tmp_path / "parts")
    assert history.column("validation_loss") == [3.0, 1.0, 2.0]
    whole = line()
    run(whole, plan([], epochs=3), tmp_path / "whole")
    np.testing.assert_allclose(net.get_weights()[0], whole.get_weights()[0], rtol=1e-6)


def test_with_more_epochs_the_new_schedule_holds_from_the_next_epoch_on(tmp_path):
    train = TrainConfig(epochs=2, learning_rate=0.4, min_learning_rate=0.1)
    spec = plan([3.0, 2.0, 1.0, 0.5])
    rest = {"steps": 2, "batch": spec.batch, "validate": spec.validate, "monitor": spec.monitor}
    fit_net(line(), squares, LoopSpec.of(train, **rest), out=tmp_path, train=train)
    longer = train.replace(epochs=4)
    history = fit_net(line(), squares, LoopSpec.of(longer, **rest), out=tmp_path, train=longer)
    rates = [cosine(k / 2, lowest=0.1, highest=0.4) for k in (0, 1)]
    rates += [cosine(k / 4, lowest=0.1, highest=0.4) for k in (2, 3)]
    assert history.column("rate") == pytest.approx(rates)
    fewer = train.replace(epochs=1)
    assert fit_net(line(), squares, LoopSpec.of(fewer, **rest), out=tmp_path, train=fewer) == history
