"""The demos run on a clone, and give the known scores on real data."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_demo_01_runs_without_the_net_and_prints_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HSN_HOME", str(tmp_path / "home"))
    demo = load("demo_01_segment_patches")
    files = demo.main(ROOT, demo.RELEASE, tmp_path / "out")
    said = capsys.readouterr().out
    assert "patches of" in said
    assert "adp-func, baseline by CRF: mIoU" in said
    assert "hsn models import hsn_data.zip" in said
    assert "G.O" in (tmp_path / "out" / "truth_adp-func.csv").read_text()
    assert sorted(files) == sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert all(f"wrote {path}" in said for path in files)


def test_demo_02_without_a_net_ends_with_one_sentence(tmp_path, monkeypatch):
    from hsn import InputError

    monkeypatch.setenv("HSN_HOME", str(tmp_path / "home"))
    with pytest.raises(InputError, match="must be a trained folder"):
        load("demo_02_segment_glas_patches").main(ROOT, "all", "no-such-net", tmp_path / "out")


@pytest.mark.slow
def test_demo_02_with_the_net_that_ships(tmp_path, capsys):
    if not (ROOT / "pretrained" / "glas-tags" / "card.json").exists():
        pytest.skip("pretrained/glas-tags is not in this checkout")
    files = load("demo_02_segment_glas_patches").main(ROOT, "all", "glas-tags", tmp_path / "out")
    assert "glas, CRF, " in capsys.readouterr().out
    assert all(path.is_file() for path in files)


def test_demo_03_draws_clicks_labels_and_outlines():
    import numpy as np

    demo = load("demo_03_clicks")
    clicks = demo.read(ROOT / "docs" / "clicks.csv", (512, 512))
    assert len(clicks) == 20
    image, instances = demo.immunohistochemistry(), np.zeros((512, 512), int)
    instances[100:120, 100:130], instances[100:120, 130:160] = 1, 2
    labels = np.zeros((512, 512, 2)), np.ones((512, 512, 2))
    figure = demo.draw(image, clicks, clicks, labels, instances)
    assert figure.axes[0].get_title() == "20 clicks"
    assert demo.make_config(image).rounds == 1


@pytest.mark.slow
def test_demo_03_from_clicks_to_nuclei(tmp_path, capsys):
    files = load("demo_03_clicks").main(ROOT / "docs" / "clicks.csv", tmp_path / "out")
    said = capsys.readouterr().out
    assert "20 clicks on an image of 512 x 512 pixels" in said
    assert "more nuclei found" in said
    assert all(path.exists() for path in files)


@pytest.mark.slow
def test_the_baselines_of_the_real_patches_have_the_known_scores(data, tmp_path, monkeypatch, capsys):
    """Measured on the same truth by the writer of the specification: 0.2602 and 0.6185; 0.0225."""
    monkeypatch.setenv("HSN_HOME", str(tmp_path / "home"))
    demo = load("demo_01_segment_patches")
    demo.main(data / "adp_tuning", demo.RELEASE, tmp_path / "out")
    said = capsys.readouterr().out
    assert "50 patches of 27 slides" in said
    assert "these are the counts of the release's 50 patches" in said
    assert "adp-func, baseline by brightness: mIoU 0.2602, Background IoU 0.6185" in said
    assert "adp-morph, baseline by brightness: mIoU 0.0225, Background IoU 0.4638" in said
