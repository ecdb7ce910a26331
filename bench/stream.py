#!/usr/bin/python3
"""`clearway fit --stream` beside `clearway fit`: memory and likelihood as the table grows.

stream.py CLEARWAY OUT.json [--data FOLDER] [--quick]

Ends with 1 when the streamed fit is more than 0.1 of log-likelihood below the fit in memory, or when its memory grows by
more than a quarter from the smallest to the largest table.
"""
import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import measure  # noqa: E402

CHUNK = 1000
LARGEST_GAP = 0.1
LARGEST_GROWTH = 1.25


def fit(clearway, path, options):
    result = measure.run([clearway, "fit", path, "--target", "y", "--experts", "4", "--threads", "1", "--quiet", "--json",
                          "--standard-errors", "none", *options], 600, measure.FIT_STATUSES)
    summary = json.loads(result["stdout"])
    return {"ll": summary["log_likelihood"], "cpu": result["cpu"], "rss": result["rss"],
            "converged": summary["converged"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clearway")
    parser.add_argument("out")
    parser.add_argument("--data", default="bench-data")
    parser.add_argument("--quick", action="store_true", help="tables of at most 100000 rows")
    arguments = parser.parse_args()
    rows, status = [], 0
    for count in [10000, 100000] + ([] if arguments.quick else [1000000]):
        path = measure.simulate(arguments.clearway, arguments.data, "gauss", 4, 10, count)
        streamed = fit(arguments.clearway, path, ["--stream", "--chunk-rows", str(CHUNK)])
        whole = fit(arguments.clearway, path, [])
        rows.append({"rows": count, "gap": whole["ll"] - streamed["ll"], "cpu": streamed["cpu"],
                     "cpu_ratio": streamed["cpu"] / whole["cpu"], "rss": streamed["rss"], "rss_whole": whole["rss"],
                     "converged": streamed["converged"]})
        print(f"n={count:<8} streamed {streamed['rss']:6.0f} MB, {streamed['cpu']:7.2f} s CPU "
              f"(x{rows[-1]['cpu_ratio']:.1f}); in memory {whole['rss']:6.0f} MB; "
              f"log-likelihood short by {rows[-1]['gap']:.2g}", flush=True)
        if rows[-1]["gap"] > LARGEST_GAP or not streamed["converged"]:
            status = 1
    if rows[-1]["rss"] > LARGEST_GROWTH * rows[0]["rss"]:
        print("the memory of the streamed fit grows with the table", file=sys.stderr)
        status = 1
    measure.write_json(arguments.out, {"table": "stream", "rows": rows})
    return status


if __name__ == "__main__":
    sys.exit(main())
