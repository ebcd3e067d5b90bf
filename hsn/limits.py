"""Limits on the size of input: all of them, with unit and reason.

A file from outside is compared with its limit before it is decoded, and before memory is allocated for its content.
Larger input raises an `InputError` that names the limit.
"""

# --- Bytes -------------------------------------------------------------------------------------------------------

CARD_BYTES = 10_000_000  # card.json and config.json: the longest class list needs some 10 kB
TAXONOMY_BYTES = 10_000_000  # 10,000 classes with descriptions need 1 MB
TAGS_BYTES = 2**28  # a table of tags: a million patches of 51 classes need 120 MB
POINTS_BYTES = 2**28  # a file of points: a million points need 30 MB
TABLE_GUESS_BYTES = 2**24  # a table that is opened only to find out what it holds
TABLE_BYTES = 2 * 2**30  # a table of objects of hsn: ten million rows as Parquet
COCO_BYTES = 2**28  # masks of a data set of 100,000 objects
ARRAY_BYTES = 2**30  # a label image as .npy or .mat: 100 million pixels of 8 bytes
OUTLINE_TEXT_BYTES = 2**28  # GeoJSON of outlines: 400,000 nuclei
XML_BYTES = 2**30  # outlines of a slide with 100,000 nuclei need 500 MB
ROI_BYTES = 2**24  # one ImageJ region: a nucleus needs some hundred bytes
ROI_ZIP_BYTES = 2**30  # all regions of one zip, unpacked
IMAGE_BYTES = 8 * 2**30  # an image file; pixels are limited separately
SLIDE_BYTES = 2**40  # a whole slide; the largest scans have some 50 GB
STATE_HEADER_BYTES = 2**24  # table of contents of a .safetensors file
NET_BYTES = 2**30  # net.keras and its weights, unpacked: fifty times the largest net of hsn
STATE_BYTES = 4 * 2**30  # weights of a torch net: some thirty times the full U-Net
RELEASE_TEXT_BYTES = 2**20  # an architecture in the release of HistoSegNet
RELEASE_WEIGHTS_BYTES = 64 * 2**20  # its weights
RELEASE_MATLAB_BYTES = 8 * 2**20  # a file of thresholds in it
RELEASE_TABLE_BYTES = 16 * 2**20  # a table of such a file, unpacked
RELEASE_ARRAY_BYTES = 4096  # an array of numbers of the CRF in it
RELEASE_BYTES = 8 * 2**30  # an archive of nets and data, unpacked
DOWNLOAD_BYTES = 8 * 2**30  # ends an endless answer of a server
SMALL_ARCHIVE_BYTES = 256 * 2**20  # up to this size an archive may have any compression ratio

# --- Pixels ------------------------------------------------------------------------------------------------------

READ_PIXELS = 100_000_000  # an image that is decoded at once: 300 MB as RGB
SEGMENT_PIXELS = 400_000_000  # an image that is segmented at once: 5 GB of probabilities
WHOLE_PIXELS = 16_000_000  # larger images are processed in parts where a step needs much memory
SEGMENT_VALUES = 2_000_000_000  # pixels times classes: 8 GB for the maps of a stage
SLIDE_PIXELS = 100_000_000_000  # level 0 of a slide: ten times 100,000 x 100,000
REGION_PIXELS = 16_000_000  # box of one connected component of a slide that is separated into objects: 1 GB
PAGES = 4096  # of an image file
COORDINATE_PX = 1e7  # a corner of an outline; larger than any slide

# --- Counts ------------------------------------------------------------------------------------------------------

ROIS = 1_000_000  # regions in a zip: a slide has 100,000 nuclei
POLYGON_CROSSINGS = 50_000_000  # rows of pixels that the edges of one outline cross: 2 GB while it is filled
ROI_CORNERS = 1_000_000  # corners of one region after its curves are sampled: 16 MB
TABLE_CELLS = 500_000_000  # rows times columns of a table of objects: 4 GB of numbers
CLASSES = 10_000  # of a taxonomy or a table of tags
PARAMETERS = 250_000_000  # of a net: 1 GB of float32
WIDTH = 128  # channels of the first level of a net to train: a U-Net then has 120 million parameters
WIDTH_FACTOR = 2.0  # on the channels of a published classifier: VGG16 then has 60 million parameters
LAYER_NUMBER = 1_000_000  # any whole number in the architecture of a net, such as a number of filters
HDF5_OBJECTS = 50_000  # groups and datasets of a weight file; ends a circle of links
ARCHIVE_MEMBERS = 100_000  # files in an archive
ARCHIVE_RATIO = 100  # unpacked to packed bytes of a large archive; drawn masks reach 100
MAX_SEED = 2**32 - 1  # largest seed that all backends accept

# --- Depth -------------------------------------------------------------------------------------------------------

GEOJSON_DEPTH = 20  # nested collections; QuPath writes two
JSON_DEPTH = 200  # nested tables and lists of an architecture

# --- Numbers of configs ------------------------------------------------------------------------------------------

LENGTH_UM = 10_000.0  # a length in micrometers: one centimeter
TILE_PX = 8_192  # side of a tile or crop: 800 MB as RGB float32
HALO_PX = 2_048  # margin of a tile; the deepest nets of the field need some hundred
MIN_MPP, MAX_MPP = 0.01, 100.0  # micrometers per pixel of a net: twice beyond any microscope
MAX_NUMBER = 1e9  # any other number of a config
MAX_COUNT = 1_000_000_000  # any other count of a config
BLUR_PX = 1_000.0  # sigma of a blur
PIXEL_VALUE = 1e6  # mean and standard deviation of pixels, which are 0..255
MIN_STD = 1e-6  # smallest standard deviation; smaller ones overflow float32

# --- Text and time -----------------------------------------------------------------------------------------------

MESSAGE_CHARS = 2_000  # an error message
DESCRIPTION_CHARS = 1_000_000  # the part of a TIFF description that is searched for a scale
NAME_CHARS = 100  # name of a taxonomy, a class or a net
FILE_NAME_BYTES = 255  # of most file systems
CONNECT_S = 30  # wait for a server, and for each part of its answer
ANSWER_S = 60  # wait for the head of an answer, with all redirects; some servers send it byte by byte
DOWNLOAD_STALL_S = 60  # window in which a download must bring `DOWNLOAD_STALL_BYTES`
DOWNLOAD_STALL_BYTES = 60_000  # 1 kB/s; slower answers are cut off
