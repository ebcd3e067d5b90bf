"""DICOM Segmentation and Annotations, read back with highdicom."""

import dataclasses

import numpy as np
import pytest

from hsn.annotations import mask_files
from hsn.exports.source import source_of
from hsn.types import Segmentation

hd = pytest.importorskip("highdicom")
pytestmark = pytest.mark.filterwarnings("ignore")  # of pydicom, about values of other makers

from hsn.exports.dicom import write_dicom  # noqa: E402


def write_slide(path, shape, mpp):
    """Write a minimal valid whole slide image; returns it."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, VLWholeSlideMicroscopyImageStorage, generate_uid

    def item(**values):
        dataset = Dataset()
        for name, value in values.items():
            setattr(dataset, name, value)
        return dataset

    side, (height, width) = 64, shape
    tiles = -(-height // side) * -(-width // side)
    uid = generate_uid()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID = ExplicitVRLittleEndian, uid
    meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    empty = dict.fromkeys(
        ("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDate",
         "StudyTime"), "",
    )  # fmt: skip
    kind = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    specimen = item(
        SpecimenIdentifier="S1", SpecimenUID=generate_uid(), IssuerOfTheSpecimenIdentifierSequence=[],
        SpecimenPreparationSequence=[],
    )  # fmt: skip
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[mpp / 1000] * 2, SliceThickness=0.001)],
        WholeSlideMicroscopyImageFrameTypeSequence=[item(FrameType=kind)],
    )
    slide = item(
        SOPClassUID=VLWholeSlideMicroscopyImageStorage, SOPInstanceUID=uid, StudyInstanceUID=generate_uid(),
        SeriesInstanceUID=generate_uid(), FrameOfReferenceUID=generate_uid(), PatientName="A", PatientID="A",
        Modality="SM", SeriesNumber=1, InstanceNumber=1, Manufacturer="x", ManufacturerModelName="x",
        DeviceSerialNumber="1", SoftwareVersions="1", ContentDate="20260101", ContentTime="000000",
        PositionReferenceIndicator="SLIDE_CORNER", LossyImageCompression="00", ImageType=kind,
        BurnedInAnnotation="NO", FocusMethod="AUTO", ExtendedDepthOfField="NO", VolumetricProperties="VOLUME",
        SpecimenLabelInImage="NO", AcquisitionDateTime="20260101000000", Rows=side, Columns=side,
        NumberOfFrames=tiles, TotalPixelMatrixRows=height, TotalPixelMatrixColumns=width,
        TotalPixelMatrixFocalPlanes=1, DimensionOrganizationType="TILED_FULL", NumberOfOpticalPaths=1,
        ImagedVolumeWidth=width * mpp / 1000, ImagedVolumeHeight=height * mpp / 1000, ImagedVolumeDepth=0.001,
        TotalPixelMatrixOriginSequence=[
            item(XOffsetInSlideCoordinateSystem=0.0, YOffsetInSlideCoordinateSystem=0.0)
        ],
        ImageOrientationSlide=[0, -1, 0, -1, 0, 0], SharedFunctionalGroupsSequence=[shared],
        DimensionOrganizationSequence=[item(DimensionOrganizationUID=generate_uid())],
        OpticalPathSequence=[item(OpticalPathIdentifier="1")], SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0,
        ContainerIdentifier="S1", IssuerOfTheContainerIdentifierSequence=[], AcquisitionContextSequence=[],
        SpecimenDescriptionSequence=[specimen],
        ContainerTypeCodeSequence=[
            item(CodeValue="433466003", CodingSchemeDesignator="SCT", CodeMeaning="Microscope slide")
        ],
        PixelData=bytes(tiles * side * side * 3), **empty,
    )  # fmt: skip
    slide.file_meta = meta
    slide.save_as(path, enforce_file_format=True)
    return slide


def test_segmentation_and_annotations_hold_the_result(result, instances, tmp_path):
    slide = write_slide(tmp_path / "slide.dcm", instances.shape, 0.5)
    seg, ann = write_dicom(tmp_path / "a.dcm", source_of(result), dicom_source=tmp_path / "slide.dcm")
    segmentation = hd.seg.segread(seg)
    matrix = segmentation.get_total_pixel_matrix(combine_segments=True)
    np.testing.assert_array_equal(matrix, instances > 0)
    parts = mask_files.read(seg, instances.shape)
    np.testing.assert_array_equal(parts > 0, instances > 0)
    assert segmentation.StudyInstanceUID == slide.StudyInstanceUID
    assert segmentation.get_segment_description(1).segment_label == "Nucleus"
    (group,) = hd.ann.annread(ann).get_annotation_groups()
    polygons = group.get_graphic_data(coordinate_type="2D")
    assert len(polygons) == 4
    np.testing.assert_array_equal(np.unique(polygons[2], axis=0), [[70, 50], [70, 60], [80, 50], [80, 60]])
    names, values, _ = group.get_measurements()
    np.testing.assert_allclose(values[:, 0], result.objects["area_um2"])
    assert names[0].meaning == "Area"


def test_the_class_map_uses_the_level_near_two_micrometers(tmp_path):
    labels = np.kron(np.eye(8, dtype=int), np.ones((32, 32), int))
    for level in range(3):
        write_slide(tmp_path / f"{level}.dcm", (256 >> level, 256 >> level), 0.5 * 2**level)
    from hsn.taxonomies import GLAS

    result = Segmentation(labels, None, None, np.ones(2), GLAS, mpp=0.5)
    seg, _ = write_dicom(tmp_path / "out" / "a.dcm", source_of(result), dicom_source=tmp_path)
    matrix = hd.seg.segread(seg).get_total_pixel_matrix(combine_segments=True)
    np.testing.assert_array_equal(matrix, labels[::4, ::4])


def test_other_dicom_files_are_not_masks(tmp_path, raises_code):
    write_slide(tmp_path / "slide.dcm", (64, 64), 0.5)
    with raises_code("dicom-segmentation"):
        mask_files.read(tmp_path / "slide.dcm", (64, 64))
    (tmp_path / "text.dcm").write_text("no dicom")
    with raises_code("array-damaged"):
        mask_files.read(tmp_path / "text.dcm", (64, 64))


def test_a_result_without_objects_writes_nothing(result, tmp_path):
    write_slide(tmp_path / "slide.dcm", result.labels.shape, 0.5)
    nothing = np.zeros_like(result.labels)
    empty = dataclasses.replace(result, labels=nothing, instances=nothing)
    assert write_dicom(tmp_path / "a.dcm", source_of(empty), dicom_source=tmp_path / "slide.dcm") == []


def test_the_slide_must_be_given_and_have_the_size(result, tmp_path, raises_code):
    with raises_code("dicom-source-missing"):
        write_dicom(tmp_path / "a.dcm", source_of(result))
    (tmp_path / "text.dcm").write_text("no dicom")
    with raises_code("dicom-source-invalid"):
        write_dicom(tmp_path / "a.dcm", source_of(result), dicom_source=tmp_path / "text.dcm")
    write_slide(tmp_path / "slide.dcm", (128, 128), 0.5)
    with raises_code("dicom-source-size"):
        write_dicom(tmp_path / "a.dcm", source_of(result), dicom_source=tmp_path / "slide.dcm")


def test_a_missing_package_is_one_sentence(result, tmp_path, monkeypatch, raises_code):
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    with raises_code("highdicom-missing") as caught:
        write_dicom(tmp_path / "a.dcm", source_of(result))
    assert 'pip install "hsn[dicom]"' in str(caught.value)
