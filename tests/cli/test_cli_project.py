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
