"""Reads ours.safetensors of a folder and writes theirs.safetensors, by the published format and nothing of Clearway.

Where the package `safetensors` is installed, the files are given to it as well.
"""

import json
import struct
import sys

import numpy as np

folder = sys.argv[1]
with open(folder + "/ours.safetensors", "rb") as file:
    (size,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(size).decode("utf-8"))
    data = file.read()
assert size % 8 == 0

metadata = header.pop("__metadata__")
assert metadata == {"format": "pt", "name": "\u00fc"}, metadata
types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "BOOL": "?"}
arrays, end = {}, 0
for name, entry in header.items():
    first, last = entry["data_offsets"]
    assert first == end, "a hole or an overlap"
    end = last
    arrays[name] = np.frombuffer(data[first:last], types[entry["dtype"]]).reshape(entry["shape"])
assert end == len(data)
assert (arrays["w"] == np.arange(6).reshape(2, 3) + 0.5).all()
assert arrays["ids"].tolist() == [-1, 1 << 40]
assert arrays["half"].tolist() == [1, -2]
brain = (arrays["brain"].astype(np.uint32) << 16).view(np.float32)  # bfloat16: the upper half of a float
assert brain.tolist() == [[1, -2]]
assert arrays["flag"].shape == () and arrays["flag"]
assert arrays["none"].shape == (0, 5)

table = np.array([[1, 2], [3, 0.1]])
header = {
    "b": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},  # not the order in which we write
    "a.table": {"dtype": "F64", "shape": [2, 2], "data_offsets": [1, 33]},
    "__metadata__": {"from": "python"},
}
text = json.dumps(header, indent=1).encode()
with open(folder + "/theirs.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + b"\5" + table.tobytes())

try:
    from safetensors.numpy import load_file
except ImportError:
    print("skipped: the Python package safetensors is not installed")
else:
    assert load_file(folder + "/theirs.safetensors")["a.table"][1, 1] == 0.1
