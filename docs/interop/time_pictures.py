#!/usr/bin/env python3
"""Times Pillow from file to the floats that training takes, to lay beside `cargo bench -p lora-bench --bench dataset`.

    python docs/interop/time_pictures.py target/tmp/bench-pictures [--seconds 5] [--draft]

The bench makes the pictures. Each is decoded, turned as its EXIF data says, resized with Lanczos to cover 512 x 512, cut in
the middle and laid out in planes of floats in [-1, 1], on one thread. `--draft` lets libjpeg scale while it decodes, which
is faster and gives other pixels; ours does not. Needs pillow and numpy.
"""

import argparse
import pathlib
import statistics
import time

import numpy
import PIL
from PIL import Image, ImageOps, features

SIZE = 512


def pixels(path, draft):
    with Image.open(path) as picture:
        if draft:
            picture.draft("RGB", (SIZE, SIZE))
        picture = ImageOps.exif_transpose(picture).convert("RGB")
    scale = max(SIZE / picture.width, SIZE / picture.height)
    width, height = round(picture.width * scale), round(picture.height * scale)
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (width - SIZE) // 2, (height - SIZE) // 2
    picture = picture.crop((left, top, left + SIZE, top + SIZE))
    planes = numpy.asarray(picture, dtype=numpy.float32) / 127.5 - 1
    return numpy.ascontiguousarray(planes.transpose(2, 0, 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=5, help="for each picture")
    parser.add_argument("--draft", action="store_true")
    options = parser.parse_args()
    print(f"pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}")
    for path in sorted(options.folder.iterdir()):
        pixels(path, options.draft)
        times, until = [], time.perf_counter() + options.seconds
        while time.perf_counter() < until:
            start = time.perf_counter()
            pixels(path, options.draft)
            times.append(time.perf_counter() - start)
        median = statistics.median(times)
        print(f"{path.name:20} {median * 1000:8.1f} ms  {1 / median:7.2f} images/s")


if __name__ == "__main__":
    main()
