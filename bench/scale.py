#!/usr/bin/python3
"""How `clearway fit` grows with rows, inputs and experts, and the memory of a large fit.

scale.py CLEARWAY OUT.json [--data FOLDER] [--quick]

One run per point, one thread, CPU seconds of the whole command. Ends with 1 when n = 1e6, d = 20, k = 4 needs more than
1 GB or 60 s of CPU.
"""
import argparse
import json
import sys

import measure

MOST_MEGABYTES = 1000.0
MOST_SECONDS = 60.0
LARGE = (1000000, 20, 4)
GROUPS = {  # what grows: points (rows, inputs, experts)
    "rows": [(1000, 10, 4), (10000, 10, 4), (100000, 10, 4), (1000000, 10, 4)],
    "inputs": [(10000, 2, 4), (10000, 5, 4), (10000, 10, 4), (10000, 20, 4), (10000, 40, 4)],
    "experts": [(10000, 10, 2), (10000, 10, 3), (10000, 10, 4), (10000, 10, 6)],
    "large": [LARGE],
}


def point(clearway, folder, group, rows, dim, experts):
    path = measure.simulate(clearway, folder, "gauss", experts, dim, rows)
    result = measure.run([clearway, "fit", path, "--target", "y", "--experts", str(experts), "--threads", "1",
                          "--quiet", "--json"], 900, measure.FIT_STATUSES)
    if result["timeout"]:
        return {"grows": group, "rows": rows, "inputs": dim, "experts": experts, "cpu": result["cpu"],
                "wall": result["wall"], "rss": result["rss"], "reason": "not finished"}
    fit = json.loads(result["stdout"])
    return {"grows": group, "rows": rows, "inputs": dim, "experts": experts, "cpu": result["cpu"],
            "wall": result["wall"], "rss": result["rss"], "iterations": fit["iterations"], "starts": fit.get("starts"),
            "reason": fit["reason"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clearway")
    parser.add_argument("out")
    parser.add_argument("--data", default="bench-data")
    parser.add_argument("--quick", action="store_true", help="no more than 10000 rows")
    arguments = parser.parse_args()
    rows, status, seen = [], 0, {}
    for group, points in GROUPS.items():
        for size in points:
            if arguments.quick and size[0] > 10000:
                continue
            if size not in seen:
                seen[size] = point(arguments.clearway, arguments.data, group, *size)
            row = {**seen[size], "grows": group}
            rows.append(row)
            print(f"{group:8} n={row['rows']:<8} d={row['inputs']:<3} k={row['experts']:<2} cpu {row['cpu']:7.3f} s  wall "
                  f"{row['wall']:7.3f} s  {row['rss']:6.0f} MB  {row['reason']}", flush=True)
            if size == LARGE and (row["rss"] > MOST_MEGABYTES or row["cpu"] > MOST_SECONDS):
                print(f"limit passed: {MOST_MEGABYTES:.0f} MB and {MOST_SECONDS:.0f} s", file=sys.stderr)
                status = 1
            measure.write_json(arguments.out, {"table": "scale", "rows": rows})
    return status


if __name__ == "__main__":
    sys.exit(main())
