import numpy as np
import pytest
from skimage.io import imread

from hsn.annotations import aperio_xml as xml

SQUARE = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in ((1, 0), (2, 0), (2, 1), (1, 1)))


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "slide.xml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def region(vertices=SQUARE, **attributes):
    listed = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<Annotations><Annotation><Region {listed}>{vertices}</Region></Annotation></Annotations>"


def test_x_is_the_column(written):
    assert xml.instances(written(region()), (3, 4)).tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_all_layers_are_read_and_a_negative_region_is_a_hole(written):
    layer = f"<Annotation><Regions><Region>{SQUARE}</Region></Regions></Annotation>"
    hole = layer.replace("<Region>", '<Region NegativeROA="1">').replace('X="1"', 'X="1.5"')
    found = xml.instances(written(f"<Annotations>{layer}{hole}</Annotations>"), (3, 4))
    assert found.tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    both = written(f"<Annotations>{layer}{layer.replace('1', '3')}</Annotations>")
    assert len(xml.outlines(both)) == 2


def test_a_rectangle_has_its_corners_and_an_ellipse_those_of_its_box(written):
    assert xml.instances(written(region(Type="1")), (3, 4)).sum() == 4
    box = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in ((70, 5), (10, 45)))  # whichever two they are
    found = xml.instances(written(region(box, Type="2")), (60, 80))
    r, c = np.mgrid[:60, :80]
    inside = ((r - 25) / 20) ** 2 + ((c - 40) / 30) ** 2
    clear = np.abs(inside - 1) > 1e-3  # of centres on the line either is right
    np.testing.assert_array_equal(found[clear], inside[clear] < 1)


def test_a_file_without_regions_has_no_objects(written):
    assert not xml.instances(written("<Annotations/>"), (3, 4)).any()


def test_another_encoding_is_read(written):
    text = '<?xml version="1.0" encoding="UTF-16"?>' + region(Text="näme")
    assert xml.instances(written(text.encode("utf-16")), (3, 4)).sum() == 4


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<Annotations><Annotation Name='&b;'/></Annotations>"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "declares a document type.*remove that declaration"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><Annotations/>', "declares a document type"),
        ("<Annotations>&undeclared;</Annotations>", "is no whole XML file.*export the annotation again"),
        (region()[:-20], "is no whole XML file"),
        ("", "is no whole XML file"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is no whole XML file"),
        ("<html><Region/></html>", "no annotation of Aperio ImageScope.*received <html>.*as XML"),
        (region(Type="4"), "drawn as no area.*received Type 4; draw it again free-hand"),
        (
            region(Type="2"),
            "holds an ellipse without its box; expected two opposite corners, received 4 vertices",
        ),
        (region('<Vertex X="1"/>'), "line 1, holds a vertex without a place.*received {'X': '1'}"),
        (region('<Vertex X="1" Y="one"/>'), "a vertex without a place"),
        (
            '<Annotations>\n<Vertex X="1" Y="2"/></Annotations>',
            "line 2, holds a vertex outside of any region",
        ),
        (region(SQUARE.replace('"2"', '"nan"')), "leaves every slide"),
        (region(SQUARE.replace('"2"', '"1e300"')), "leaves every slide"),
    ],
)
def test_hostile_and_broken_files_are_refused(written, text, words):
    with pytest.raises(ValueError, match=words):
        xml.instances(written(text), (3, 4))


def test_a_missing_file_and_a_huge_one_are_refused(written, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"nowhere\.xml cannot be read.*check its name"):
        xml.outlines(tmp_path / "nowhere.xml")
    monkeypatch.setattr(xml, "_MOST_BYTES", 100)
    with pytest.raises(ValueError, match="too large for an annotation; expected at most 100 bytes"):
        xml.outlines(written(region()))


def test_published_annotations_give_the_published_instances_to_the_pixel(data):
    files = sorted((data / "multiorgan" / "annotations_xml").glob("*.xml"))
    assert len(files) == 4
    for file in files:
        truth = imread(data / "multiorgan" / "labels_instance" / f"{file.stem}.png")
        np.testing.assert_array_equal(xml.instances(file, truth.shape), truth)
