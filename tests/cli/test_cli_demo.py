"""`hsn demo`: segmented samples, scores and one page."""

from pathlib import Path

from hsn.images.read import read


def test_the_demo_scores_samples_with_truth_and_names_every_file(run, model, monkeypatch):
    monkeypatch.setenv("HSN_DATA", "nowhere")
    result = run("demo", "--model", model, "--out", "o")
    assert result.exit_code == 0
    assert "== drawn ==" in result.stdout
    assert "glas, CRF, 3 images" in result.stdout
    assert "mIoU" in result.stdout
    written = [path for path in Path("o").rglob("*") if path.is_file()]
    assert f"wrote {len(written)} files to o/" in result.stdout
    assert read("o/immunohistochemistry/glas/overlay/immunohistochemistry.png").shape > (512, 512, 3)
    assert result.stdout.endswith("open o/summary.png first\n")


def test_without_a_checkout_the_demo_is_an_error(run, model, monkeypatch, tmp_path):
    from hsn.cli import demo

    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    result = run("demo", "--model", model)
    assert result.exit_code == 2
    assert result.code == "demo-samples"
