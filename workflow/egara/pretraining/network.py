"""The face detector's network: fully convolutional, one level of stride 8, small enough for one core.

A ResNet-like trunk down to stride 32 whose levels are added on the way back up to stride 8 (feature pyramid, Lin et
al. 2017); every cell there says whether a face's middle lies in it and how far the face's four sides are (FCOS, Tian
et al. 2019). Only training needs this module and torch: what ships is the same network as an ONNX graph.
"""

import json
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from onnx import ModelProto

STRIDE = 8
STEM, QUARTER, EIGHTH, SIXTEENTH, LOW, NECK = 16, 32, 64, 96, 96, 64


class Convolution(nn.Module):
    """Convolution, batch norm and, unless `linear`, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, linear: bool = False) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, momentum=0.03)
        self.linear = linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (b, inputs, h, w) to (b, outputs, h / stride, w / stride)."""
        x = self.norm(self.convolution(x))
        return x if self.linear else F.relu(x)

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weight and bias of the one convolution that does the same with the norm's running statistics."""
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        return self.convolution.weight * scale[:, None, None, None], self.norm.bias - self.norm.running_mean * scale


class Block(nn.Module):
    """Two convolutions and a skip connection (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = Convolution(width, width), Convolution(width, width, linear=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (b, width, h, w) to the same shape."""
        return F.relu(x + self.second(self.first(x)))


class FaceNetwork(nn.Module):
    """Grey pictures (b, 1, h, w) in [0, 1], sides multiples of 32, to a map of (b, 5, h / 8, w / 8).

    Channel 0 is the logit that a face's middle lies in the cell; channels 1 to 4 are the logarithms of the distances
    from the cell's middle to the face's left, top, right and bottom side, in strides.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(1, STEM, stride=2)
        self.down4, self.block4 = Convolution(STEM, QUARTER, stride=2), Convolution(QUARTER, QUARTER)
        self.down8, self.block8 = Convolution(QUARTER, EIGHTH, stride=2), Block(EIGHTH)
        self.down16, self.block16a, self.block16b = (
            Convolution(EIGHTH, SIXTEENTH, stride=2),
            Block(SIXTEENTH),
            Block(SIXTEENTH),
        )
        self.down32, self.block32a, self.block32b = Convolution(SIXTEENTH, LOW, stride=2), Block(LOW), Block(LOW)
        self.side8 = Convolution(EIGHTH, NECK, 1, linear=True)
        self.side16 = Convolution(SIXTEENTH, NECK, 1, linear=True)
        self.side32 = Convolution(LOW, NECK, 1, linear=True)
        self.merge16, self.merge8 = Convolution(NECK, NECK), Convolution(NECK, NECK)
        self.head = nn.Conv2d(NECK, 5, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        # Faces are rare: a prior of 1 % keeps the first steps from being spent on the background (Lin et al. 2017b).
        self.head.bias.data = torch.tensor([-4.6, 1.0, 1.0, 1.0, 1.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the map described above."""
        x = self.block4(self.down4(self.stem(1 - x)))
        eighth = self.block8(self.down8(x))
        sixteenth = self.block16b(self.block16a(self.down16(eighth)))
        low = self.block32b(self.block32a(self.down32(sixteenth)))
        x = self.merge16(F.relu(self.side16(sixteenth) + F.interpolate(self.side32(low), scale_factor=2)))
        x = self.merge8(F.relu(self.side8(eighth) + F.interpolate(x, scale_factor=2)))
        return self.head(x)


def to_onnx(network: FaceNetwork, provenance: dict) -> bytes:
    """Write the network as an ONNX graph with folded norms, weights of 16 bits and `provenance` in its metadata.

    Input `pages` (b, 1, h, w) in [0, 1] and output `map` (b, 5, h / 8, w / 8), whose channel 0 is the probability.
    """
    return _Graph(network).model(provenance).SerializeToString()


class _Graph:
    """The network's `forward`, node by node."""

    def __init__(self, network: FaceNetwork) -> None:
        self.nodes, self.weights, self.network = [], [], network
        self.constant("two", torch.tensor([1.0, 1.0, 2.0, 2.0]), half=False)
        self.constant("one", torch.tensor(1.0), half=False)

    def constant(self, name: str, value: torch.Tensor, half: bool = True) -> str:
        from onnx import TensorProto, numpy_helper

        value = value.detach().float().numpy()
        if not half:
            self.weights.append(numpy_helper.from_array(value, name))
            return name
        self.weights.append(numpy_helper.from_array(value.astype("float16"), f"{name}.half"))
        return self.add("Cast", [f"{name}.half"], name, to=TensorProto.FLOAT)

    def add(self, kind: str, inputs: list[str], output: str, **options: object) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}:{output}", **options))
        return output

    def convolve(self, x: str, name: str, layer: Convolution | nn.Conv2d) -> str:
        plain = isinstance(layer, nn.Conv2d)
        weight, bias = (layer.weight, layer.bias) if plain else layer.folded()
        convolution = layer if plain else layer.convolution
        inputs = [x, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias, half=False)]
        size, pad = convolution.kernel_size[0], convolution.padding[0]
        x = self.add("Conv", inputs, name, kernel_shape=[size] * 2, strides=list(convolution.stride), pads=[pad] * 4)
        return x if plain or layer.linear else self.add("Relu", [x], f"{name}.relu")

    def block(self, x: str, name: str) -> str:
        layer = getattr(self.network, name)
        inner = self.convolve(self.convolve(x, f"{name}.first", layer.first), f"{name}.second", layer.second)
        return self.add("Relu", [self.add("Add", [x, inner], f"{name}.sum")], f"{name}.out")

    def layer(self, x: str, name: str) -> str:
        return self.convolve(x, name, getattr(self.network, name))

    def lift(self, low: str, side: str, name: str) -> str:
        upper = self.add(
            "Resize",
            [low, "", "two"],
            f"{name}.up",
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return self.add("Relu", [self.add("Add", [side, upper], f"{name}.sum")], f"{name}.in")

    def model(self, provenance: dict) -> "ModelProto":
        from onnx import TensorProto, checker, helper

        x = self.add("Sub", ["one", "pages"], "ink")
        for name in ("stem", "down4", "block4", "down8"):
            x = self.layer(x, name)
        eighth = self.block(x, "block8")
        sixteenth = self.block(self.block(self.layer(eighth, "down16"), "block16a"), "block16b")
        low = self.block(self.block(self.layer(sixteenth, "down32"), "block32a"), "block32b")
        x = self.lift(self.layer(low, "side32"), self.layer(sixteenth, "side16"), "lift16")
        x = self.lift(self.layer(x, "merge16"), self.layer(eighth, "side8"), "lift8")
        x = self.convolve(self.layer(x, "merge8"), "head", self.network.head)
        self.nodes.append(helper.make_node("Split", [x], ["logit", "sides"], axis=1, name="parts"))
        self.add("Concat", [self.add("Sigmoid", ["logit"], "probability"), "sides"], "map", axis=1)
        self.weights.append(helper.make_tensor("shares", TensorProto.INT64, [2], [1, 4]))
        self.nodes[-3].input.append("shares")
        page = helper.make_tensor_value_info("pages", TensorProto.FLOAT, ["batch", 1, "height", "width"])
        result = helper.make_tensor_value_info("map", TensorProto.FLOAT, ["batch", 5, "rows", "columns"])
        graph = helper.make_graph(self.nodes, "egara-face-detector", [page], [result], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, {"egara": json.dumps(provenance, sort_keys=True)})
        checker.check_model(model, full_check=True)
        return model
