"""Compare the speed of two nets: processor seconds per square millimeter, alternating in one process.

    python benchmarks/segment_speed.py OLD NEW --mpp 0.25 --json benchmarks/results/segment_speed.json

OLD and NEW are names or folders of trained nets. The image is drawn tissue of 1000 x 1000 px; the first call of each
net, which compiles, does not count.
"""

import argparse
import json
import time
from pathlib import Path

import hsn
from hsn.data.synthetic import draw_tissue


def main():
    """Read the command line and print the median of each net and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--mpp", type=float, default=0.25)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    image = draw_tissue(0, (1000, 1000), mpp=args.mpp).image
    area_mm2 = (1000 * args.mpp / 1000) ** 2
    nets = {"old": hsn.load(args.old), "new": hsn.load(args.new)}
    seconds = {name: [] for name in nets}
    for repeat in range(args.repeats + 1):
        for name, net in nets.items():
            start = time.process_time()
            hsn.segment(image, net, mpp=args.mpp)
            if repeat:
                seconds[name].append(time.process_time() - start)
    medians = {name: sorted(values)[len(values) // 2] / area_mm2 for name, values in seconds.items()}
    row = {"nets": [Path(args.old).name, Path(args.new).name], "mpp": args.mpp, "s_per_mm2": medians,
           "ratio": round(medians["new"] / medians["old"], 2)}  # fmt: skip
    print(json.dumps(row))
    if args.json:
        known = json.loads(args.json.read_text()) if args.json.exists() else []
        args.json.write_text(json.dumps([*known, row], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
