"""Writes opencv_faces.json: what cv2.FaceDetectorYN finds in the pictures beside this file, and in ones made of them.

The made ones use whole-number arithmetic only, so that the test can make the very same pixels.
"""

import json
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).parent
MODEL = HERE.parent.parent / "assets" / "face_detection_yunet_2023mar.onnx"
SCORE, OVERLAP = 0.3, 0.3


def halved(picture):
    """Each pixel the mean of four, rounded to the nearest, halves up."""
    wide = picture.astype(np.uint32)
    return ((wide[0::2, 0::2] + wide[0::2, 1::2] + wide[1::2, 0::2] + wide[1::2, 1::2] + 2) // 4).astype(np.uint8)


def group(picture):
    """Four copies in three sizes on grey; its sides are no multiples of 32."""
    canvas = np.full((300, 500, 3), 128, np.uint8)
    half = halved(picture)
    quarter = halved(half)
    for copy, left, top in [(picture, 10, 20), (half, 280, 30), (half, 350, 165), (quarter, 420, 40)]:
        height, width = copy.shape[:2]
        canvas[top : top + height, left : left + width] = copy
    return canvas


def faces(picture):
    height, width = picture.shape[:2]
    detector = cv2.FaceDetectorYN.create(str(MODEL), "", (width, height), SCORE, OVERLAP, 5000)
    found = detector.detect(np.ascontiguousarray(picture))[1]
    return [] if found is None else [[round(float(number), 4) for number in face] for face in found]


def main():
    read = lambda name: cv2.imread(str(HERE / name), cv2.IMREAD_COLOR)
    astronaut = read("astronaut.png")
    pictures = {
        "astronaut": astronaut,
        "astronaut turned clockwise": np.rot90(astronaut, -1),
        "astronaut upside down": np.rot90(astronaut, 2),
        "astronaut turned anticlockwise": np.rot90(astronaut, 1),
        "astronaut mirrored": astronaut[:, ::-1],
        "astronaut halved": halved(astronaut),
        "group": group(astronaut),
        "coffee": read("coffee.png"),
        "chelsea": read("chelsea.png"),
    }
    document = {
        "opencv": cv2.__version__,
        "score": SCORE,
        "overlap": OVERLAP,
        "order": "left, top, width, height, five landmarks x, y, score",
        "faces": {name: faces(picture) for name, picture in pictures.items()},
    }
    (HERE / "opencv_faces.json").write_text(json.dumps(document, indent=1) + "\n")


main()
