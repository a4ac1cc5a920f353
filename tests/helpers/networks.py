"""Small ONNX graphs that find the one red rectangle on a page and answer in the layout of a detector that people have.

They look at their input as that detector's programs prepare it: its colours' order and range, and where the page lies
in it. So a page that is fitted otherwise, or an answer that is read otherwise, gives no box or another one.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SIDE = 128
SCORE = 0.9
SURE = 0.8  # objectness of the face
FACE = (40, 30, 110, 90)


def red_page(face=FACE, height=120, width=200):
    """Return a white page, uint8 (height, width, 3), with a red rectangle."""
    page = np.full((height, width, 3), 255, np.uint8)
    left, top, right, bottom = face
    page[top:bottom, left:right] = (255, 0, 0)
    return page


class Graph:
    """Nodes of a graph that is being built; its methods return names of values."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, value, kind=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def add(self, kind, *inputs, **attributes):
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def channel(self, image, number):
        return self.add("Gather", image, self.constant(number, np.int64), axis=1)

    def extent(self, mask, axis):
        """Return the first and the last row (axis 1) or column (axis 2) of a mask (1, h, w), each (1,)."""
        seen = self.add("ReduceMax", mask, axes=[3 - axis], keepdims=0)
        length = self.add("Squeeze", self.add("Shape", seen, start=1, end=2))
        count = self.add("Range", self.constant(0, np.int64), length, self.constant(1, np.int64))
        count = self.add("Cast", count, to=TensorProto.FLOAT)
        whole = self.add("Cast", length, to=TensorProto.FLOAT)
        first = self.add("Mul", seen, self.add("Sub", whole, count))
        last = self.add("Mul", seen, self.add("Add", count, self.constant(1)))
        first, last = (self.add("ReduceMax", end, axes=[1], keepdims=0) for end in (first, last))
        return self.add("Sub", whole, first), last, whole

    def fits(self, image, fit):
        """Return 1 where a white page lies in the input as it should, else 0: grey beside it, or none; (1,)."""
        full, grey = (255, 114) if fit == "corner" else (1, 114 / 255)
        first, last = {"letterbox": (grey, grey), "stretch": (full, full), "corner": (full, grey)}[fit]
        right = []
        for place, value in ((0, first), (-1, last)):
            row = self.add("Gather", self.channel(image, 1), self.constant(place, np.int64), axis=1)
            pixel = self.add("Gather", row, self.constant(place, np.int64), axis=1)
            off = self.add("Abs", self.add("Sub", pixel, self.constant([value])))
            right.append(self.add("Cast", self.add("Less", off, self.constant([full / 100])), to=TensorProto.FLOAT))
        return self.add("Mul", *right)

    def find(self, image, fit="letterbox"):
        """Return left, top, right, bottom, whether there is red, width and height of the input, each (1,)."""
        bgr = fit == "corner"
        red, blue = (2, 0) if bgr else (0, 2)
        more = self.add("Sub", self.channel(image, red), self.channel(image, blue))
        mask = self.add("Greater", more, self.constant(128 if bgr else 0.5))
        mask = self.add("Cast", mask, to=TensorProto.FLOAT)
        left, right, width = self.extent(mask, 2)
        top, bottom, height = self.extent(mask, 1)
        there = self.add("Mul", self.add("ReduceMax", mask, axes=[1, 2], keepdims=0), self.fits(image, fit))
        return left, top, right, bottom, there, width, height

    def row(self, values):
        """Return values, each (1,), as one box (1, 1, n)."""
        row = self.add("Concat", *values, axis=0)
        return self.add("Reshape", row, self.constant([1, 1, -1], np.int64))


def cells(side=SIDE, strides=(8, 16, 32)):
    """Return x, y and stride of every cell of the grids, (n, 3), stride by stride, row by row."""
    return np.array([(x, y, s) for s in strides for y in range(side // s) for x in range(side // s)], np.float32)


def network(
    path: Path,
    *,
    box="middle",  # middle, corners, grid
    unit="pixels",  # pixels, fractions
    tail="scores",  # what follows the box: scores, objectness, label
    classes=1,
    face=0,
    rows="cells",  # fillers: cells (one per cell), anchors (three per cell), or their number
    transposed=False,  # boxes in columns
    extras=0,
    fit="letterbox",
    half=False,
    shape=(1, 3, SIDE, SIDE),
    objectness=0.01,  # of fillers
    metadata=None,
    beside=None,  # shape of a second output
    taken=None,  # type of the input, where it is not the output's
):
    """Write a graph and return how the detector is called."""
    graph = Graph()
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    first = graph.add("Gather", "images", graph.constant([0], np.int64), axis=0)
    image = graph.add("Cast", first, to=TensorProto.FLOAT)
    left, top, right, bottom, there, width, height = graph.find(image, fit)
    two = graph.constant([2])
    if box == "corners":
        sides = [left, top, right, bottom]
    else:
        sides = [graph.add("Div", graph.add("Add", *pair), two) for pair in ((left, right), (top, bottom))]
        sides += [graph.add("Sub", right, left), graph.add("Sub", bottom, top)]
    if unit == "fractions":
        sides = [graph.add("Div", value, whole) for value, whole in zip(sides, (width, height) * 2, strict=True)]
    side = shape[2] if isinstance(shape[2], int) else SIDE
    count = {"cells": len(cells(side)), "anchors": 3 * len(cells(side))}.get(rows, rows) - 1
    grid = np.resize(cells(side), (count + 1, 3))
    at = 2 * count // 3 + 5  # of the row that holds the face: not a first one, and not in the first grid
    if box == "grid":
        x, y, stride = grid[at]
        sides = [
            graph.add("Sub", graph.add("Div", value, graph.constant([stride])), graph.constant([cell]))
            for value, cell in zip(sides[:2], (x, y), strict=True)
        ] + [graph.add("Log", graph.add("Div", value, graph.constant([stride]))) for value in sides[2:]]
    score = graph.add("Mul", there, graph.constant([SCORE]))
    zero = graph.add("Sub", there, there)
    one_hot = [score if number == face else zero for number in range(classes)]
    label = graph.add("Add", zero, graph.constant([face]))
    sure = graph.add("Mul", there, graph.constant([1 if objectness == 1 else SURE]))
    sure = graph.add("Max", sure, graph.constant([objectness]))
    tails = {"scores": one_hot, "label": [score, label], "objectness": [sure, *one_hot]}
    row = graph.row([*sides, *tails[tail], *[graph.add("Add", zero, graph.constant([7])) for _ in range(extras)]])

    draw = np.random.default_rng(0)
    middle = (
        draw.uniform(0.2, 0.8, (count + 1, 2)) * side
        if not isinstance(rows, str)
        else (grid[:, :2] + 0.5) * grid[:, 2:]
    )
    size = draw.uniform(0.05, 0.3, (count + 1, 2)) * side
    fillers = np.hstack([middle - size / 2, middle + size / 2] if box == "corners" else [middle, size])
    fillers = fillers / side if unit == "fractions" else fillers
    if box == "grid":
        fillers = draw.normal(0.3, 0.5, (count + 1, 4))
    low = np.full((count + 1, len(tails[tail])), 0.003)
    if tail == "label":
        low[:, 1] = face
    if tail == "objectness":
        low[:, 0] = objectness
    fillers = np.hstack([fillers, low, np.full((count + 1, extras), 7)])[None].astype(np.float32)
    before, after = graph.constant(fillers[:, :at]), graph.constant(fillers[:, at + 1 :])
    answer = graph.add("Concat", before, row, after, axis=1)
    if transposed:
        answer = graph.add("Transpose", answer, perm=[0, 2, 1])
    graph.nodes.append(helper.make_node("Cast", [answer], ["output0"], to=kind))
    outputs = [helper.make_tensor_value_info("output0", kind, ["batch", "a", "b"])]
    if beside:
        graph.nodes.append(helper.make_node("Identity", [graph.constant(np.zeros(beside))], ["output1"]))
        outputs.append(helper.make_tensor_value_info("output1", TensorProto.FLOAT, beside))
    inputs = [helper.make_tensor_value_info("images", taken or kind, list(shape))]
    return save(path, graph, inputs, outputs, metadata)


def original_rtdetr(path: Path, metadata=None, label=0):
    """Write a graph with RT-DETR's own inputs and outputs and return how the detector is called."""
    graph = Graph()
    left, top, right, bottom, there, width, height = graph.find("images", "stretch")
    shares = [graph.add("Div", *pair) for pair in ((left, width), (top, height), (right, width), (bottom, height))]
    sizes = graph.add("Cast", "orig_target_sizes", to=TensorProto.FLOAT)  # width, height of the page
    sizes = graph.add("Reshape", graph.add("Concat", sizes, sizes, axis=1), graph.constant([1, 1, 4], np.int64))
    boxes = graph.add("Mul", graph.row(shares), sizes)
    score = graph.add("Reshape", graph.add("Mul", there, graph.constant([SCORE])), graph.constant([1, 1], np.int64))
    unsure = graph.constant(np.linspace(0.1, 9, 4 * 299).reshape(1, 299, 4))
    graph.nodes += [
        helper.make_node("Concat", [boxes, unsure], ["boxes"], axis=1),
        helper.make_node("Concat", [score, graph.constant(np.full((1, 299), 0.004))], ["scores"], axis=1),
        helper.make_node("Identity", [graph.constant(np.full((1, 300), label), np.int64)], ["labels"]),
    ]
    values = helper.make_tensor_value_info
    inputs = [
        values("images", TensorProto.FLOAT, ["N", 3, SIDE, SIDE]),
        values("orig_target_sizes", TensorProto.INT64, ["N", 2]),
    ]
    outputs = [
        values("labels", TensorProto.INT64, ["N", 300]),
        values("boxes", TensorProto.FLOAT, ["N", 300, 4]),
        values("scores", TensorProto.FLOAT, ["N", 300]),
    ]
    return save(path, graph, inputs, outputs, metadata)


def save(path, graph, inputs, outputs, metadata):
    """Write a graph with its metadata and return how the detector is called."""
    made = helper.make_graph(graph.nodes, "network", inputs, outputs, graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    path.write_bytes(model.SerializeToString())
    return f"onnx:{path}"
