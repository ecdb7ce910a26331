#!/usr/bin/env python3
"""The training loop that one would write in PyTorch: the model of `clearway train --size NAME`, experts in a loop.

Prints one JSON object: tokens per CPU second over the measured steps. Same shapes, optimiser, clipping and batch as
clearway train: pre-norm blocks, rotary positions, tied embedding, top-2 of 16 experts with the balance loss, AdamW.
"""

import argparse
import json
import math
import time

import torch
from torch import nn
from torch.nn import functional as F

SIZES = {"tiny": (2, 64, 4, 64), "small": (4, 128, 4, 128), "medium": (8, 256, 8, 256)}


class Expert(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)

    def forward(self, x):
        return self.down(F.relu(self.up(x)))


class Mixture(nn.Module):
    def __init__(self, width, experts, top_k):
        super().__init__()
        self.router = nn.Linear(width, experts)
        self.experts = nn.ModuleList(Expert(width) for _ in range(experts))
        self.top_k = top_k

    def forward(self, x):
        scores = self.router(x)
        probabilities = scores.softmax(-1)
        values, chosen = scores.topk(self.top_k, -1)
        weights = values.softmax(-1)
        out = torch.zeros_like(x)
        counts = []
        for index, expert in enumerate(self.experts):
            rows, slots = torch.where(chosen == index)
            counts.append(rows.numel())
            if rows.numel() > 0:
                out.index_add_(0, rows, expert(x[rows]) * weights[rows, slots].unsqueeze(1))
        load = torch.tensor(counts, dtype=x.dtype) / chosen.numel()
        return out, 0.01 * len(self.experts) * (load * probabilities.mean(0)).sum()


class Block(nn.Module):
    def __init__(self, width, heads, experts, top_k):
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.mixture = Mixture(width, experts, top_k)

    def forward(self, x, mask, cosine, sine):
        batch, length, width = x.shape
        parts = self.qkv(self.first(x)).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        half = width // self.heads // 2

        def rotate(a):
            first, second = a[..., :half], a[..., half:]
            return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)

        query, key, value = rotate(parts[0]), rotate(parts[1]), parts[2]
        scores = (query @ key.transpose(-1, -2)) / math.sqrt(width // self.heads)
        mixed = scores.masked_fill(mask, float("-inf")).softmax(-1) @ value
        x = x + self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        answer, loss = self.mixture(self.second(x).reshape(-1, width))
        return x + answer.view_as(x), loss


class Model(nn.Module):
    def __init__(self, vocabulary, size, experts, top_k):
        super().__init__()
        layers, width, heads, self.context = SIZES[size]
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(width, heads, experts, top_k) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        half = width // heads // 2
        angle = torch.outer(torch.arange(self.context), 10000.0 ** (-torch.arange(half) / half))
        self.register_buffer("cosine", angle.cos())
        self.register_buffer("sine", angle.sin())
        self.register_buffer("mask", torch.ones(self.context, self.context).triu(1).bool())

    def forward(self, tokens):
        x, loss = self.embedding(tokens), 0
        for block in self.blocks:
            x, more = block(x, self.mask, self.cosine, self.sine)
            loss = loss + more
        return F.linear(self.norm(x), self.embedding.weight), loss


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text")
    parser.add_argument("--size", default="tiny", choices=SIZES)
    parser.add_argument("--experts", type=int, default=16)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    with open(options.text, "rb") as file:
        text = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).long()
    model = Model(256, options.size, options.experts, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.01)
    start = None
    for step in range(options.steps + 5):
        if step == 5:
            start = time.process_time()
        places = torch.randint(len(text) - model.context - 1, (options.batch,))
        rows = torch.stack([text[p : p + model.context + 1] for p in places])
        scores, extra = model(rows[:, :-1])
        loss = F.cross_entropy(scores.reshape(-1, 256), rows[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        (loss + extra).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    seconds = time.process_time() - start
    print(json.dumps({"tokens_per_second": options.steps * options.batch * model.context / seconds, "loss": loss.item()}))


if __name__ == "__main__":
    main()
