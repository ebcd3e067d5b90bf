"""Choice: how objects are told apart, by what is best on images that were not learned from.

From which probability a pixel is inside, and how deep a waist parts two objects, is worth as much as hours of training:
on Kumar's validation images the shipped nuclei net has an AJI of .46 to .57 by the ways that are tried here.
"""

from ...images.tiles import enlarge
from ...metrics.objects import Matching, match
from ...metrics.table import overlaps
from .inference import maps_of, objects

INSIDES = (None, 0.3, 0.4)
WAISTS_UM = (0.0, 0.15, 0.3)


def best_told(net, known, config):
    """The config whose objects match those of some images best.

    Parameters
    ----------
    net : keras.Model
        Trained.
    known : sequence of Annotated
        Images that it did not learn from, with their objects.
    config : Config
        Of a net that sees contours. Of equals it is this one, or else the first, that is taken.

    Returns
    -------
    Config
        With another `inside` and `waist_um`; chosen by panoptic quality, pooled, at the images' own scale.
    """
    ways = [
        config.replace(postprocess={"foreground_threshold": inside, "h_um": waist})
        for inside in INSIDES
        for waist in WAISTS_UM
    ]
    ways = [config, *(way for way in ways if way != config)]
    matchings = [Matching() for _ in ways]
    for each in known:
        maps = enlarge(maps_of(net, each.image, config), each.instances.shape)
        for k, way in enumerate(ways):
            matchings[k] += match(overlaps(each.instances, objects(maps, way, mpp=config.image_mpp)))
    return max(zip(matchings, ways, strict=True), key=lambda pair: pair[0].pq)[1]
