#!/usr/bin/env python3
"""A model of `clearway train` in numpy, from its run folder alone, and its loss on a text.

    rebuild_transformer.py RUN TEXT

prints the nats per token that `clearway evaluate RUN --data TEXT --json` has as "loss". For the router smoe, bytes, rotary positions,
relu or gelu, and the other defaults; docs/train.md has the names and shapes of all tensors.
"""
import json
import math
import struct
import sys

import numpy as np


def read_safetensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    part = lambda entry: data[8 + size + entry["data_offsets"][0] : 8 + size + entry["data_offsets"][1]]
    return {
        name: np.frombuffer(part(entry), "<f4").reshape(entry["shape"]).astype(float)
        for name, entry in header.items()
        if entry["dtype"] == "F32"
    }


def norm(x, weights, name):
    centred = x - x.mean(1, keepdims=True)
    scale = np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    return centred / scale * weights[name + "_weight"] + weights[name + "_bias"]


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def rotate(x):
    half = x.shape[1] // 2
    angle = np.outer(np.arange(len(x)), 10000.0 ** (-np.arange(half) / half))
    a, b = x[:, :half], x[:, half:]
    return np.hstack([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)])


def attention(x, weights, block, heads):
    width = x.shape[1] // heads
    answers = []
    for q, k, v in zip(*[np.split(part, heads, 1) for part in np.split(x @ weights[block + "attention_qkv"].T, 3, 1)]):
        scores = rotate(q) @ rotate(k).T / math.sqrt(width)
        scores[np.triu_indices(len(x), 1)] = -np.inf
        answers.append(softmax(scores) @ v)
    return np.hstack(answers) @ weights[block + "attention_output"].T


def feed(x, weights, block, config):
    if block + "up_weight" in weights:
        hidden = np.maximum(x @ weights[block + "up_weight"].T + weights[block + "up_bias"], 0)
        return hidden @ weights[block + "down_weight"].T + weights[block + "down_bias"]
    phi = np.vectorize(lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2))))
    activation = {"relu": lambda z: np.maximum(z, 0), "gelu": lambda z: z * phi(z)}[config["activation"]]
    gate, experts = block + "mixture.router.network.gate.", block + "mixture.experts."
    scores = x @ weights[gate + "slopes"].T + weights[gate + "intercepts"]
    out = np.zeros_like(x)
    for row, score in enumerate(scores):
        chosen = np.argsort(-score)[: config["top_k"]]
        for expert, weight in zip(chosen, softmax(score[chosen])):
            hidden = activation(x[row] @ weights[experts + "w1"][expert] + weights[experts + "b1"][expert])
            out[row] += weight * (hidden @ weights[experts + "w2"][expert] + weights[experts + "b2"][expert])
    return out


def logits(symbols, weights, config):
    x = weights["embedding"][symbols]
    for layer in range(config["layers"]):
        block = f"block{layer}."
        x = x + attention(norm(x, weights, block + "norm1"), weights, block, config["heads"])
        x = x + feed(norm(x, weights, block + "norm2"), weights, block, config)
    return norm(x, weights, "norm") @ weights["embedding"].T


def main(run, text):
    config = json.load(open(run + "/config.json"))
    wanted = {"router": "smoe", "tokenizer": "byte", "positions": "rotary", "norm": "before", "weights": "renormalised"}
    for key, value in wanted.items():
        if config.get(key, value) != value:
            sys.exit(f"{run}: {key} is {config[key]}; this example reads {value} only")
    weights = read_safetensors(run + "/checkpoints/best/model.safetensors")
    symbols = np.frombuffer(open(text, "rb").read(), np.uint8)
    nats = 0.0
    for start in range(0, len(symbols) - 1, config["context"]):
        window = symbols[start : start + config["context"] + 1]
        probabilities = softmax(logits(window[:-1], weights, config))
        nats -= np.log(probabilities[np.arange(len(window) - 1), window[1:]]).sum()
    print(f"{nats / (len(symbols) - 1):.6f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
