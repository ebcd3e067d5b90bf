"""`hsn project`: make a study, check it."""

from pathlib import Path


def test_a_study_is_made_and_checked(run, images):
    made = run("project", "new", "mine", images, "--tissues", "Stroma, Fat", "--mpp", 0.5, "--json")
    assert made.exit_code == 0
    assert made.said["images"] == 3
    assert made.said["classes"] == ["Nucleus", "Stroma", "Fat"]
    assert run("project", "check", "mine", "--json").said == []
    Path("mine/annotations/a.geojson").write_text("{")
    wrong = run("project", "check", "mine", "--json")
    assert wrong.exit_code == 1
    assert wrong.said[0]["code"] == "geojson-malformed"


def test_images_are_added_and_divided(run, images):
    run("project", "new", "mine")
    added = run("project", "add", "mine", images, "--mpp", 0.25, "--json")
    assert added.said["added"] == 3
    for name in "abc":
        Path(f"mine/annotations/{name}.geojson").write_text(
            '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, '
            '"geometry": {"type": "Point", "coordinates": [3, 4]}}]}'
        )
    said = run("project", "split", "mine", "--val", 0.34, "--json").said
    assert (said["train"], said["val"]) == (2, 1)
    assert run("project", "split", "mine", "--val", 1.5).exit_code == 2
