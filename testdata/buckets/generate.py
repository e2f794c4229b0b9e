"""Records what kohya's sd-scripts choose as buckets.

    python generate.py SD_SCRIPTS > buckets.json

SD_SCRIPTS is a checkout of kohya-ss/sd-scripts (made with commit 48d368fa). The two definitions are taken out of its
sources and run, so that neither torch nor the rest of it is needed.
"""
import ast, json, math, random, sys
from pathlib import Path
from typing import Tuple

import numpy as np


def definition(path, name):
    text = Path(path).read_text(encoding="utf-8")
    node = next(node for node in ast.parse(text).body if getattr(node, "name", None) == name)
    return ast.get_source_segment(text, node)


checkout = Path(sys.argv[1])
names = {"math": math, "np": np, "random": random, "Tuple": Tuple}
exec(definition(checkout / "library/model_util.py", "make_bucket_resolutions"), names)
names["model_util"] = type("model_util", (), {"make_bucket_resolutions": staticmethod(names["make_bucket_resolutions"])})
exec(definition(checkout / "library/train_util.py", "BucketManager"), names)

draw = random.Random(4)
cases = []
for resolution in [(512, 512), (768, 768), (1024, 1024), (512, 768), (960, 544), (64, 64)]:
    for least, most, step in [(256, 1024, 64), (320, 1536, 64), (128, 1024, 32), (256, 2048, 8), (32, 128, 16)]:
        for no_upscale in (False, True):
            if most < max(resolution) or math.sqrt(resolution[0] * resolution[1]) < step:
                continue
            manager = names["BucketManager"](no_upscale, resolution, least, most, step)
            manager.make_buckets()
            sizes = [(512, 512), (513, 511), (4000, 3000), (3000, 4000), (1920, 1080), (64, 64), (640, 64), (1000, 10000)]
            sizes += manager.predefined_resos[:3]
            sizes += [(draw.randint(step, 5000), draw.randint(step, 5000)) for _ in range(60)]
            picks = []
            for width, height in sizes:
                if no_upscale and min(width, height) < 2 * step:
                    continue
                try:
                    bucket, resized, _ = manager.select_bucket(width, height)
                except ZeroDivisionError:
                    continue
                picks.append([width, height, *bucket, *resized])
            cases.append({
                "resolution": resolution, "min": least, "max": most, "step": step, "no_upscale": no_upscale,
                "sizes": manager.predefined_resos, "picks": picks,
            })
json.dump(cases, sys.stdout, separators=(",", ":"))
