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
    assert xml.read_instances(written(region()), (3, 4)).tolist() == [
        [0, 1, 1, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 0],
    ]


def test_all_layers_are_read_and_a_negative_region_is_a_hole(written):
    layer = f"<Annotation><Regions><Region>{SQUARE}</Region></Regions></Annotation>"
    hole = layer.replace("<Region>", '<Region NegativeROA="1">').replace('X="1"', 'X="1.5"')
    found = xml.read_instances(written(f"<Annotations>{layer}{hole}</Annotations>"), (3, 4))
    assert found.tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    both = written(f"<Annotations>{layer}{layer.replace('1', '3')}</Annotations>")
    assert len(xml.read_outlines(both)) == 2


def test_a_rectangle_has_its_corners_and_an_ellipse_those_of_its_box(written):
    assert xml.read_instances(written(region(Type="1")), (3, 4)).sum() == 4
    box = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in ((70, 5), (10, 45)))  # whichever two they are
    found = xml.read_instances(written(region(box, Type="2")), (60, 80))
    r, c = np.mgrid[:60, :80]
    inside = ((r - 25) / 20) ** 2 + ((c - 40) / 30) ** 2
    clear = np.abs(inside - 1) > 1e-3  # of centres on the line either is right
    np.testing.assert_array_equal(found[clear], inside[clear] < 1)


def test_a_file_without_regions_has_no_objects(written):
    assert not xml.read_instances(written("<Annotations/>"), (3, 4)).any()


def test_another_encoding_is_read(written):
    text = '<?xml version="1.0" encoding="UTF-16"?>' + region(Text="näme")
    assert xml.read_instances(written(text.encode("utf-16")), (3, 4)).sum() == 4


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<Annotations><Annotation Name='&b;'/></Annotations>"
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (LAUGHS, "xml-doctype"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><Annotations/>', "xml-doctype"),
        ("<Annotations>&undeclared;</Annotations>", "xml-malformed"),
        (region()[:-20], "xml-malformed"),
        ("", "xml-malformed"),
        (b"\x89PNG\r\n\x1a\n\0\0", "xml-malformed"),
        ("<html><Region/></html>", "xml-not-imagescope"),
        (region(Type="4"), "region-type"),
        (
            region(Type="2"),
            "region-ellipse",
        ),
        (region('<Vertex X="1"/>'), "region-vertex"),
        (region('<Vertex X="1" Y="one"/>'), "region-vertex"),
        (
            '<Annotations>\n<Vertex X="1" Y="2"/></Annotations>',
            "region-vertex",
        ),
        (region(SQUARE.replace('"2"', '"nan"')), "outline-coordinates"),
        (region(SQUARE.replace('"2"', '"1e300"')), "outline-coordinates"),
    ],
)
def test_hostile_and_broken_files_are_refused(written, text, code, raises_code):
    with raises_code(code):
        xml.read_instances(written(text), (3, 4))


def test_a_missing_file_and_a_huge_one_are_refused(written, tmp_path, monkeypatch, raises_code):
    with raises_code("file-unreadable"):
        xml.read_outlines(tmp_path / "nowhere.xml")
    monkeypatch.setattr(xml, "XML_BYTES", 100)
    with raises_code("file-too-large"):
        xml.read_outlines(written(region()))


def test_published_annotations_give_the_published_instances_to_the_pixel(data):
    files = sorted((data / "multiorgan" / "annotations_xml").glob("*.xml"))
    assert len(files) == 4
    for file in files:
        truth = imread(data / "multiorgan" / "labels_instance" / f"{file.stem}.png")
        np.testing.assert_array_equal(xml.read_instances(file, truth.shape), truth)
