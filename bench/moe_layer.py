#!/usr/bin/python3
"""The sparse layer beside the loops that one writes in torch, one thread, CPU time: moe_layer.py PROGRAM [--layers ABCDE] [--repeats 7] [--out PAGE]

PROGRAM is build/bench/bench/moe_layer. Ours and torch's take turns, so that a busy machine slows both alike; every ratio
is the median of the ratios of neighbours. With --out the tables replace what stands between the marks in PAGE.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time

import torch

# Experts, experts per token, inputs, hidden units, tokens: table 6.1 of the performance study.
LAYERS = {
    "A": (8, 2, 512, 2048, 2048),
    "B": (64, 8, 256, 512, 2048),
    "C": (64, 2, 512, 2048, 512),
    "D": (64, 1, 256, 1024, 2048),
    "E": (16, 2, 512, 1024, 2048),
}
TARGETS = {
    1: {"A": 0.88, "B": 0.83, "E": 0.86, "D": 0.65, "C": 0.60},
    2: {"A": 0.82, "B": 0.78, "E": 0.78, "D": 0.62, "C": 0.48},
    3: {"A": 0.92, "B": 0.68, "E": 0.75, "D": 0.45, "C": 0.30},
    5: {"A": 1.0, "E": 1.0, "D": 1.1, "C": 1.5},
    6: {name: 0.55 for name in LAYERS},
    7: {name: 0.04 for name in "ABE"},
    8: {name: 1.05 for name in LAYERS},
    9: {"A": 0.75, "B": 0.50, "E": 0.55, "D": 0.23, "C": 0.17},
    10: {name: 0.12 for name in LAYERS},
    11: {name: 1.85 for name in LAYERS},
}
TITLES = {
    1: "forward / peak of multiply-adds",
    2: "forward and backward / peak",
    3: "forward and backward / torch loop, separate parameters",
    4: "forward and backward / torch loop, stacked parameters",
    5: "forward and backward / torch dense layer of equal products",
    6: "bfloat16 / float32, forward",
    7: "routing, sorting and combining / forward",
    8: "skewed / balanced router, forward and backward",
    9: "step with AdamW / torch loop and torch.optim.AdamW",
    10: "AdamW / torch::optim::AdamW, per parameter",
    11: "CPU on one thread / busier of two threads, forward and backward",
}
AT_LEAST = {1, 2, 11}  # larger is better
STACKED_LIMIT = 8 * 2**20  # numbers per bank: torch's stacked loop fills them once per expert


class Program:
    """The C++ side: one command, one answer."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            sys.exit(f"moe_layer.py: the program ended at '{command}'")
        return [float(number) for number in answer]

    def layer(self, shape, skewed=0, compute="float32"):
        self.ask("layer " + " ".join(map(str, shape)) + f" {skewed} {compute}")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cpu(work):
    start = time.process_time()
    work()
    return time.process_time() - start


class Loop:
    """Mixture of experts as a loop over experts: index, multiply, add back."""

    def __init__(self, shape, stacked):
        n, k, d, h, tokens = shape
        torch.manual_seed(1)
        self.stacked, self.experts = stacked, n
        w1, w2 = torch.randn(n, d, h) / d**0.5, torch.randn(n, h, d) / h**0.5
        if stacked:
            self.parameters = [w1.requires_grad_(), w2.requires_grad_()]
        else:
            self.parameters = [w.clone().requires_grad_() for pair in zip(w1, w2) for w in pair]
        self.x = torch.randn(tokens, d, requires_grad=True)
        best = (self.x.detach() @ torch.randn(d, n) / d**0.5).topk(k, 1)
        self.index, self.weight = best.indices, best.values.softmax(1).requires_grad_()
        self.gradient = torch.randn(tokens, d)
        self.optimiser = None

    def expert(self, i):
        if self.stacked:
            return self.parameters[0][i], self.parameters[1][i]
        return self.parameters[2 * i], self.parameters[2 * i + 1]

    def forward(self):
        out = torch.zeros_like(self.x)
        for i in range(self.experts):
            token, slot = (self.index == i).nonzero(as_tuple=True)
            if token.numel() == 0:
                continue
            w1, w2 = self.expert(i)
            y = torch.nn.functional.gelu(self.x.index_select(0, token) @ w1) @ w2
            out = out.index_add(0, token, y * self.weight[token, slot].unsqueeze(1))
        return out

    def both(self):
        for tensor in [self.x, self.weight, *self.parameters]:
            tensor.grad = None
        self.forward().backward(self.gradient)

    def full(self):
        if self.optimiser is None:
            self.optimiser = torch.optim.AdamW(self.parameters, lr=1e-3)
        self.both()
        self.optimiser.step()


class Dense:
    """One feed-forward layer with as many products as the sparse one uses."""

    def __init__(self, shape):
        _, k, d, h, tokens = shape
        torch.manual_seed(1)
        self.w1 = (torch.randn(d, k * h) / d**0.5).requires_grad_()
        self.w2 = (torch.randn(k * h, d) / h**0.5).requires_grad_()
        self.x = torch.randn(tokens, d, requires_grad=True)
        self.gradient = torch.randn(tokens, d)

    def both(self):
        for tensor in [self.x, self.w1, self.w2]:
            tensor.grad = None
        (torch.nn.functional.gelu(self.x @ self.w1) @ self.w2).backward(self.gradient)


def turns(repeats, *works):
    """Times of several works that take turns, after one round to warm up."""
    for work in works:
        work()
    return list(zip(*[[work() for work in works] for _ in range(repeats)]))


def ratio(numerators, denominators):
    return statistics.median(a / b for a, b in zip(numerators, denominators))


def measure(program, name, repeats, note):
    shape = LAYERS[name]
    n, k, d, h, tokens = shape
    products = 4e-9 * tokens * k * d * h  # forward, in 1e9 multiplications and additions
    found = {}
    ask = lambda command: lambda: program.ask(command)[0]

    program.layer(shape)
    loop, dense = Loop(shape, stacked=False), Dense(shape)
    peak, forward, both, loop_both, dense_both = turns(
        repeats, ask("peak"), ask("forward"), ask("both"), lambda: cpu(loop.both), lambda: cpu(dense.both))
    found[1] = statistics.median(products / t / p for t, p in zip(forward, peak))
    found[2] = statistics.median(3 * products / t / p for t, p in zip(both, peak))
    found[3] = ratio(both, loop_both)
    found[5] = ratio(both, dense_both)
    note(f"{name}: peak {statistics.median(peak):.0f} GFLOP/s; ms: forward {1e3 * statistics.median(forward):.1f}, "
         f"forward and backward {1e3 * statistics.median(both):.1f}, torch loop {1e3 * statistics.median(loop_both):.1f}, "
         f"dense {1e3 * statistics.median(dense_both):.1f}")
    del dense
    full, loop_full = turns(max(2, repeats // 2), ask("full"), lambda: cpu(loop.full))
    found[9] = ratio(full, loop_full)
    del loop
    if n * d * h <= STACKED_LIMIT or n * n * d * h <= 16 * STACKED_LIMIT:
        stacked = Loop(shape, stacked=True)
        both, stacked_both = turns(2, ask("both"), lambda: cpu(stacked.both))
        found[4] = ratio(both, stacked_both)
        del stacked
    program.ask("both")
    ours, theirs = turns(repeats, ask("adamw"), ask("adamw_torch"))
    found[10] = ratio(ours, theirs)
    note(f"{name}: AdamW {1e9 * statistics.median(ours):.2f} and {1e9 * statistics.median(theirs):.2f} ns per parameter")
    both, threads = turns(repeats, ask("both"), ask("threads"))
    found[11] = ratio(both, threads)
    shares = [program.ask("share") for _ in range(repeats)]
    found[7] = statistics.median(sum(share) / (share[0] + f) for share, f in zip(shares, forward))
    error = program.ask("error")[0]

    # Ours against ours: two processes of one program take turns.
    other = Program(program.process.args[0])
    other.layer(shape, compute="bfloat16")
    base, pairs = turns(repeats, ask("forward"), lambda: other.ask("forward")[0])
    found[6] = ratio(pairs, base)
    note(f"{name}: relative error of bfloat16 {error:.1e}")
    other.layer(shape, skewed=1)
    base, skewed = turns(repeats, ask("both"), lambda: other.ask("both")[0])
    found[8] = ratio(skewed, base)
    other.close()
    return found


def met(row, name, value):
    target = TARGETS.get(row, {}).get(name)
    if target is None:
        return ""
    return " ✓" if (value >= target if row in AT_LEAST else value <= target) else " ✗"


def table(results):
    names = [name for name in LAYERS if name in results]
    lines = ["| # | ratio | " + " | ".join(f"{name} (target)" for name in names) + " |",
             "|---|---|" + "---|" * len(names)]
    for row, title in TITLES.items():
        cells = []
        for name in names:
            value, target = results[name].get(row), TARGETS.get(row, {}).get(name)
            aim = "" if target is None else f" ({'≥' if row in AT_LEAST else '≤'} {target:g})"
            cells.append("–" if value is None else f"{value:.3g}{aim}{met(row, name, value)}")
        lines.append(f"| {row} | {title} | " + " | ".join(cells) + " |")
    return lines


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--layers", default="ABCDE", help="which of the layers A to E")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", help="page whose marked part to replace")
    options = parser.parse_args()
    torch.set_num_threads(1)
    program, results, notes = Program(options.program), {}, []

    def note(line):
        notes.append(line)
        print(line, file=sys.stderr, flush=True)

    for name in options.layers:
        results[name] = measure(program, name, options.repeats, note)
        print("\n".join(table({name: results[name]})), file=sys.stderr, flush=True)
    program.close()
    lines = [f"{processor()}; torch {torch.__version__}; medians of {options.repeats}.", "", *table(results), "",
             *[f"- {line}" for line in notes]]
    print("\n".join(lines))
    if options.out:
        with open(options.out, encoding="utf-8") as file:
            page = file.read()
        begin, end = "<!-- moe-layer: begin -->", "<!-- moe-layer: end -->"
        head, rest = page.split(begin)
        tail = rest.split(end)[1]
        beside = options.out + ".new"
        with open(beside, "w", encoding="utf-8") as file:
            file.write(head + begin + "\n" + "\n".join(lines) + "\n" + end + tail)
        os.replace(beside, options.out)


if __name__ == "__main__":
    main()
