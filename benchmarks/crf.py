"""Time the dense CRF and pydensecrf2 on real crops; `make bench` runs it.

All times are of whole calls, lattice and iterations, with the same float32 probabilities from color clusters. The
variants of a row run alternately, so that other load affects all of them; a row gives medians. The first turn of a row
is cold: the kernel has released its memory and its cached lattice.

    python benchmarks/crf.py --sizes 512 1088 --classes 2 10 --repeats 3
    python benchmarks/crf.py --sizes 512 --classes 10 --configs func --double
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.special import softmax
from skimage import data as samples
from skimage.io import imread

from hsn import _native, refine
from hsn.crf.engines import make_lattice
from hsn.crf.lattice import Lattice
from hsn.crf.mean_field import MIN_PROBABILITY
from hsn.crf.terms import make_terms

CONFIGS = {  # gaussian, bilateral: HistoSegNet's, its code's defaults, its successor's, and the CRF's own paper
    "morph": ((1, 20), (10, 40, 50)),
    "func": ((3, 40), (10, 4, 25)),
    "defaults": ((3, 30), (10, 20, 50)),
    "voc": ((1.5, 3), (40, 13, 10)),
    "classic": ((3, 3), (80, 13, 10)),
}
SOFTNESS = 200.0  # squared grey levels: how fast a cluster's probability falls with the distance of colours


def crop(size_px):
    """Cut a real crop, uint8 (size, size, 3); smaller images are mirrored."""
    real = Path(os.environ.get("HSN_DATA") or "no data")
    sources = sorted((real / "glas" / "images").glob("testA_1.png")) if size_px < 600 else []
    sources += sorted((real / "multiorgan" / "images").glob("*"))[:1]
    image = imread(sources[0])[..., :3] if sources else samples.immunohistochemistry()
    missing = [(0, max(0, size_px - side)) for side in image.shape[:2]]
    return np.ascontiguousarray(np.pad(image, [*missing, (0, 0)], mode="symmetric")[:size_px, :size_px])


def colour_clusters(image, classes):
    """Compute probabilities from the distance to color clusters: float32 (H, W, classes)."""
    pixels = image.reshape(-1, 3).astype(np.float32)
    centres, _ = kmeans2(pixels[:: max(1, len(pixels) // 20_000)], classes, minit="++", seed=0)
    distance = ((pixels[:, None] - centres) ** 2).sum(axis=2)  # (H W, classes)
    mass = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / SOFTNESS)
    return (mass / mass.sum(axis=1, keepdims=True)).reshape(*image.shape[:2], classes).astype(np.float32)


def variants(with_scipy):
    """Return options of `refine` by name, and whether denormals are flushed."""
    found = {}
    if find_spec("pydensecrf"):
        found["peer"] = {}
        if _native.kernel:
            found["peer, flushed"] = {}
    else:
        print("pydensecrf2 is not installed: no ratios.")
    if _native.kernel:
        found["kernel, 1"] = {"engine": "native", "threads": 1}
        found["kernel, 2"] = {"engine": "native", "threads": 2}
    if with_scipy or not _native.kernel:
        found["scipy"] = {"engine": "scipy"}
    return found


def pydensecrf2(maps, image, gaussian, bilateral, iterations=5):
    """Run pydensecrf2 through its Python interface."""
    from pydensecrf import densecrf

    height, width, classes = maps.shape
    crf = densecrf.DenseCRF2D(width, height, classes)
    unary = -np.log(np.clip(maps, 1e-5, 1)).reshape(-1, classes).T
    crf.setUnaryEnergy(np.ascontiguousarray(unary))
    crf.addPairwiseGaussian(sxy=gaussian[0], compat=gaussian[1])
    crf.addPairwiseBilateral(sxy=bilateral[0], srgb=bilateral[1], rgbim=image, compat=bilateral[2])
    return np.array(crf.inference(iterations)).T.reshape(maps.shape)


def timed(name, options, maps, image, config):
    gaussian, bilateral = CONFIGS[config]
    if "flushed" in name:
        _native.kernel.flush_denormals(True)
    start = time.perf_counter()
    if name.startswith("peer"):
        marginals = pydensecrf2(maps, image, gaussian, bilateral)
    else:
        marginals = refine(maps, image, gaussian=gaussian, bilateral=bilateral, **options)
    seconds = time.perf_counter() - start
    if "flushed" in name:
        _native.kernel.flush_denormals(False)
    return seconds, marginals


def row(image, maps, config, repeats, with_scipy):
    """Print one row; return name -> (ratio, ratio with denormals flushed, ratio of a first call)."""
    chosen = variants(with_scipy)
    first, seconds, marginals = {}, {name: [] for name in chosen}, {}
    for turn in range(repeats + 1):  # the first is cold
        for name, options in chosen.items():
            if turn == 0 and name.startswith("kernel"):
                _native.kernel.release()
            spent, marginals[name] = timed(name, options, maps, image, config)
            seconds[name].append(spent)
            if turn == 0:
                first[name] = seconds[name].pop()
    usual = {name: np.median(spent) for name, spent in seconds.items()}
    head = f"{image.shape[0]:5} {maps.shape[2]:3} {config:9}"
    ratios = {}
    for name in usual:
        line = f"{head} {name:14} {usual[name]:7.3f} s (cold {first[name]:7.3f})"
        if "peer" in usual and not name.startswith("peer"):
            peer, flushed = usual["peer"], usual.get("peer, flushed", np.nan)
            ratios[name] = peer / usual[name], flushed / usual[name], peer / first[name]
            same = (marginals[name].argmax(2) == marginals["peer"].argmax(2)).mean()
            apart = np.abs(marginals[name] - marginals["peer"])
            line += (
                f"  x {ratios[name][0]:5.2f}  (flushed x {ratios[name][1]:5.2f})  labels {100 * same:8.4f} %"
            )
            line += f"  apart {apart.max():.0e}, 99.99 % within {np.quantile(apart, 0.9999):.0e}"
        print(line, flush=True)
    return ratios


def in_double_precision(maps, image, gaussian, bilateral, iterations=5):
    """Compute the formula of the engines in float64, on a lattice with float32 positions."""

    def product(steps, values):
        for step in steps:
            values = step @ values
        return values

    kernels = []
    for term in make_terms(image, gaussian, bilateral, ()):
        lattice = Lattice(term.features())
        points = lattice.slice.astype(np.float64)
        steps = [points.T, *(blur.astype(np.float64) for blur in lattice.blurs), points]
        kernels.append((term.weight, steps, 1 / np.sqrt(product(steps, np.ones((points.shape[0], 1))))))
    unary = -np.log(np.clip(maps, np.float32(MIN_PROBABILITY), 1).astype(np.float64)).reshape(
        -1, maps.shape[2]
    )
    marginals = softmax(-unary, axis=1)
    for _ in range(iterations):
        messages = sum(weight * d * product(steps, d * marginals) for weight, steps, d in kernels)
        marginals = softmax(messages - unary, axis=1)
    return marginals.reshape(maps.shape)


def distances_to_double(image, maps, config):
    """Print how far each variant's marginals lie from those of double precision."""
    exact = in_double_precision(maps, image, *CONFIGS[config])
    for name, options in variants(with_scipy=True).items():
        apart = np.abs(timed(name, options, maps, image, config)[1] - exact).max(axis=2)
        print(
            f"{image.shape[0]:5} {maps.shape[2]:3} {config:9} {name:14} from float64: at most {apart.max():.1e}, "
            f"{1e6 * (apart > 2e-3).mean():6.1f} pixels in a million by more than 2e-3",
            flush=True,
        )


def peak_memory(name, options, size_px, classes, config):
    """Measure the megabytes that one call adds to a new process, with its result."""
    image = crop(size_px)
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/image.npy", image)
        np.save(f"{folder}/maps.npy", colour_clusters(image, classes))
        program = (
            "import sys; sys.path.insert(0, 'benchmarks'); import crf, numpy as np\n"
            f"image, maps = (np.load('{folder}/' + name) for name in ('image.npy', 'maps.npy'))\n"
            f"call = lambda maps, image: crf.timed({name!r}, {options}, maps, image, {config!r})\n"
            "call(maps[:32, :32], image[:32, :32].copy())\n"
            "before = crf.most_memory(); call(maps, image); print(crf.most_memory() - before)"
        )
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(run.stdout) / 2**20


def most_memory():
    """Return the peak memory of this process in bytes. Linux only; `ru_maxrss` also counts the parent."""
    status = Path("/proc/self/status").read_text().split()
    return 1024 * int(status[status.index("VmHWM:") + 1])


def bandwidth():
    """Measure the bytes per second of a plain copy on one core, read and written."""
    source = np.ones(2**26, np.float32)
    target = np.empty_like(source)
    spent = []
    for _ in range(5):
        start = time.perf_counter()
        target[:] = source
        spent.append(time.perf_counter() - start)
    return 2 * source.nbytes / min(spent[1:])


def bandwidth_reached(size_px, classes, config):
    """Compute the minimum bytes per second that the iterations of the kernel move on one core."""
    image = crop(size_px)
    maps = colour_clusters(image, classes)
    gaussian, bilateral = CONFIGS[config]
    channels, pixels, moved = classes - 1, size_px**2, 0
    for term in make_terms(image, gaussian, bilateral, ()):
        features = term.features().reshape(size_px, size_px, -1)
        lattice = make_lattice(features)._filter
        rows = 4 * (3 * lattice.rows + 2 * lattice.links)  # clear, splat, slice; blur reads and writes
        moved += rows * channels + 2 * 8 * pixels * (
            features.shape[2] + 1
        )  # weights and rows of splat and slice
    moved += 4 * pixels * channels  # evidence
    spent = {5: [], 25: []}
    for _ in range(4):
        for iterations, runs in spent.items():
            start = time.process_time()  # of the processor: other jobs' turns do not count
            options = {"engine": "native", "threads": 1, "iterations": iterations}
            refine(maps, image, gaussian=gaussian, bilateral=bilateral, **options)
            runs.append(time.process_time() - start)
    return 20 * moved / (min(spent[25]) - min(spent[5]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 512, 1088])
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 5, 10, 29])
    parser.add_argument("--configs", nargs="+", default=list(CONFIGS), choices=list(CONFIGS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-scipy", action="store_true")
    parser.add_argument("--double", action="store_true", help="distances to float64 instead of times")
    asked = parser.parse_args()
    print(f"kernel {_native.kernel.__name__ if _native.kernel else 'not compiled'}, {os.cpu_count()} cores")

    ratios = {}
    for size_px in asked.sizes:
        image = crop(size_px)
        for classes in asked.classes:
            maps = colour_clusters(image, classes)
            for config in asked.configs:
                if asked.double:
                    distances_to_double(image, maps, config)
                    continue
                for name, ratio in row(image, maps, config, asked.repeats, not asked.no_scipy).items():
                    ratios.setdefault((size_px, name), []).append(ratio)
    if asked.double:
        return
    print(
        "\nratios to pydensecrf2 as installed: lowest, median, highest; medians flushed, and of first calls"
    )
    for (size_px, name), found in ratios.items():
        usual, flushed, first = np.array(found).T
        print(
            f"{size_px:5} {name:10} {usual.min():5.2f} {np.median(usual):5.2f} {usual.max():5.2f}"
            f"   {np.median(flushed):5.2f} {np.median(first):5.2f}"
        )
    for name, options in variants(with_scipy=True).items() if sys.platform == "linux" else ():
        megabytes = peak_memory(name, options, 512, 10, "func")
        print(f"peak memory, 512 px, 10 classes, func: {name:14} {megabytes:5.0f} MB")
    if _native.kernel:
        copy = bandwidth()
        for config in ("func", "classic"):
            reached = bandwidth_reached(1088, 10, config)
            print(
                f"one core copies {copy / 1e9:.1f} GB/s; the kernel's iterations move {reached / 1e9:.1f} GB/s "
                f"({100 * reached / copy:.0f} %): 1088 px, 10 classes, {config}"
            )


if __name__ == "__main__":
    main()
