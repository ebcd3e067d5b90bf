"""The loop: it keeps the best epoch, passes the image to the loss, and stops if the loss is not finite."""

import json
from dataclasses import replace

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


def test_the_state_does_not_depend_on_earlier_trainings_of_the_process(tmp_path):
    for name in ("first", "second"):
        x = layers.Input((1,), name="x")
        net = keras.Model(x, layers.Dense(1, kernel_initializer="zeros", name="y")(x), name="line")
        fit_net(net, squares, plan([1.0]), out=tmp_path / name, train=TrainConfig(epochs=1))
    first, second = ((tmp_path / name / "state-0001.weights.h5").read_bytes() for name in ("first", "second"))
    assert first == second


@pytest.mark.parametrize("other", ["state-0002.weights.h5", "state-0004.weights.h5"])
def test_a_state_that_a_killed_run_left_is_removed(tmp_path, other):
    run(line(), plan([1.0, 2.0, 3.0]), tmp_path)
    kept = (tmp_path / "state-0003.weights.h5").read_bytes()
    (tmp_path / other).write_bytes(kept)
    run(line(), plan([1.0, 2.0, 3.0]), tmp_path)
    assert [path.name for path in tmp_path.glob("state-*")] == ["state-0003.weights.h5"]


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


def test_the_learning_rate_rises_over_the_first_steps():
    train = TrainConfig(epochs=4, learning_rate=1.0, min_learning_rate=1.0, warmup_steps=4)
    spec = LoopSpec.of(train, steps=2, batch=None, validate=None, monitor="loss")
    assert [spec.learning_rate(step / 2) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def two_layers():
    """Return a net whose first layer is its encoder; see `hsn.nets.encoder_unet.encoder_variables`."""
    x = layers.Input((1,))
    y = layers.Dense(1, use_bias=False, kernel_initializer="ones", name="first")(x)
    return keras.Model(x, layers.Dense(1, use_bias=False, kernel_initializer="ones", name="up1")(y))


def test_the_encoder_learns_at_its_share_of_the_rate(tmp_path):
    train = TrainConfig(optimizer="adamw", encoder_rate_factor=0.1)
    net = two_layers()
    fit_net(net, squares, replace(plan([1.0]), steps=1), train=train, out=tmp_path)
    first, second = (abs(1 - float(w[0, 0])) for w in net.get_weights())
    assert second == pytest.approx(0.1, rel=1e-3)  # Adam's first step is the rate, whatever the gradient
    assert first == pytest.approx(0.01, rel=1e-3)


def test_decay_is_decoupled_with_adamw(tmp_path):
    nets = [line(), line()]
    for net, optimizer in zip(nets, ("adam", "adamw"), strict=True):
        net.set_weights([np.ones((1, 1), "float32")])
        train = TrainConfig(optimizer=optimizer, weight_decay=0.5)
        fit_net(net, squares, plan([1.0], weight=0.0), train=train, out=tmp_path / optimizer)
    adam, adamw = (float(net.get_weights()[0][0, 0]) for net in nets)
    assert adamw == pytest.approx((1 - 0.1 * 0.5) ** 2)  # two steps at a rate of 0.1
    assert adam == pytest.approx(1 - 2 * 0.1, rel=1e-2)  # the decay is a gradient like any other


def averaging(out, monitors, *, seen=None, epochs=None):
    """Train with a moving average; `seen` gets the weight that each validation used."""
    net, the_plan = line(), plan(monitors, epochs=epochs)
    if seen is not None:
        validate = the_plan.validate

        def spying():
            seen.append(float(net.get_weights()[0][0, 0]))
            return validate()

        the_plan = replace(the_plan, validate=spying)
    fit_net(net, squares, the_plan, train=TrainConfig(optimizer="adamw", ema_momentum=0.5), out=out)
    return float(net.get_weights()[0][0, 0])


def test_the_moving_average_is_validated_and_kept(tmp_path):
    seen = []
    kept = averaging(tmp_path / "averaged", [3.0, 2.0, 1.0], seen=seen)
    plain = line()
    fit_net(
        plain, squares, plan([3.0, 2.0, 1.0]), train=TrainConfig(optimizer="adamw"), out=tmp_path / "plain"
    )
    assert kept == seen[-1]
    assert 0 < kept < float(plain.get_weights()[0][0, 0])  # the average lags behind weights that grow


def test_a_continued_moving_average_is_that_of_one_run(tmp_path):
    whole = averaging(tmp_path / "whole", [3.0, 2.0, 1.0])
    averaging(tmp_path / "parts", [3.0])
    assert averaging(tmp_path / "parts", [2.0, 1.0], epochs=3) == pytest.approx(whole, rel=1e-6)
