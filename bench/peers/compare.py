#!/usr/bin/python3
"""`clearway fit` against R's flexmix and mixtools on the same files, in turns, one thread each.

compare.py CLEARWAY OUT.json [--data FOLDER] [--quick]

Clearway's time is that of the whole command: start, reading the table, 12 starts and more, polish. The packages' time is
that of the fitting call alone, with ONE random start, as they come or with tight tolerances. Medians over repetitions.
Runs that end below the best log-likelihood of the case by more than 0.1 count as misses: less is a fit that stopped a
little early. Clearway itself fails where it ends more than 0.01 below.
"""
import argparse
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import measure  # noqa: E402

# scenario, family, experts, inputs, rows, {method: repetitions}, further options of clearway fit, limit of one run in CPU s
CASES = [
    ("gauss", "gaussian", 4, 10, 1000, {"flexmix-default": 10, "flexmix-tight": 10}, [], 60),
    ("hard", "gaussian", 6, 2, 2000, {"flexmix-default": 10, "flexmix-tight": 10}, [], 60),
    ("rare", "gaussian", 3, 2, 2000, {"flexmix-default": 10, "flexmix-tight": 10}, [], 60),
    ("gauss", "gaussian", 4, 10, 10000, {"flexmix-default": 3, "flexmix-tight": 3}, [], 120),
    ("gauss", "gaussian", 2, 1, 1000, {"hmeEM": 3, "flexmix-tight": 3}, [], 60),
    ("const", "gaussian", 4, 1, 1000, {"regmixEM": 10, "flexmix-constant": 10}, ["--gate", "constant"], 60),
    ("const", "gaussian", 3, 10, 10000, {"regmixEM": 3, "flexmix-constant": 3}, ["--gate", "constant"], 120),
    ("pois", "poisson", 3, 2, 1000, {"flexmix-tight": 10}, ["--expert", "poisson"], 60),
    ("pois", "poisson", 3, 2, 10000, {"flexmix-tight": 3}, ["--expert", "poisson"], 120),
    ("binom", "binomial", 3, 2, 1000, {"flexmix-tight": 10}, ["--expert", "binomial", "--trials", "trials"], 60),
    ("binom", "binomial", 3, 2, 10000, {"flexmix-tight": 3}, ["--expert", "binomial", "--trials", "trials"], 120),
    ("gauss", "gaussian", 4, 10, 100000, {"flexmix-default": 1, "flexmix-tight": 1}, [], 600),
]
QUICK_ROWS = 1000


def fit_clearway(clearway, path, experts, seed, options, limit):
    result = measure.run([clearway, "fit", path, "--target", "y", "--experts", str(experts), "--seed", str(seed),
                          "--threads", "1", "--quiet", "--json", *options], limit, measure.FIT_STATUSES)
    summary = json.loads(result["stdout"])
    return {"ll": summary["log_likelihood"], "cpu": result["cpu"], "wall": result["wall"], "rss": result["rss"],
            "starts": summary.get("starts"), "converged": summary["converged"]}


def fit_package(method, family, experts, seed, path, limit):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fit.R")
    try:
        result = measure.run(["Rscript", "--vanilla", script, method, family, str(experts), str(seed), path], limit)
    except RuntimeError as error:
        return {"failed": str(error)[-200:]}
    if result["timeout"]:
        return {"failed": f"not finished after {limit} s of CPU", "cpu": result["cpu"]}
    fit = json.loads(result["stdout"].strip().splitlines()[-1])
    return {**fit, "wall": result["wall"], "rss": result["rss"]}


def compare(case, clearway, folder):
    scenario, family, experts, dim, rows, methods, options, limit = case
    path = measure.simulate(clearway, folder, scenario, experts, dim, rows)
    runs = {"clearway": []}
    for turn in range(max(methods.values())):
        runs["clearway"].append(fit_clearway(clearway, path, experts, turn + 1, options, limit))
        for method, repetitions in methods.items():
            if turn < repetitions:
                runs.setdefault(method, []).append(fit_package(method, family, experts, turn + 1, path, limit))
    best = max(run["ll"] for many in runs.values() for run in many if "ll" in run)
    rows_out = []
    base = measure.median([run["cpu"] for run in runs["clearway"]])
    base_wall = measure.median([run["wall"] for run in runs["clearway"]])
    for name, many in runs.items():
        done = [run for run in many if "ll" in run]
        row = {"case": f"{scenario} K={experts} d={dim}", "rows": rows, "program": name, "runs": len(many),
               "failed": [run["failed"] for run in many if "failed" in run]}
        if done:
            row["cpu"] = measure.median([run["cpu"] for run in done])
            row["wall"] = measure.median([run["wall"] for run in done])
            row["rss"] = max(run["rss"] for run in done)
            row["cpu_ratio"] = row["cpu"] / base
            row["wall_ratio"] = row["wall"] / base_wall
            row["ll_minus_best"] = [round(run["ll"] - best, 4) for run in done]
            row["missed"] = sum(run["ll"] < best - 0.1 for run in done)
        rows_out.append(row)
    return rows_out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clearway")
    parser.add_argument("out")
    parser.add_argument("--data", default="bench-data")
    parser.add_argument("--quick", action="store_true", help=f"only the cases of {QUICK_ROWS} rows")
    arguments = parser.parse_args()
    rows = []
    for case in CASES:
        if arguments.quick and case[4] > QUICK_ROWS:
            continue
        for row in compare(case, arguments.clearway, arguments.data):
            rows.append(row)
            print(f"{row['case']:18} n={row['rows']:<7} {row['program']:17} cpu {row.get('cpu', float('nan')):8.3f} s "
                  f"x{row.get('cpu_ratio', float('nan')):7.1f}  ll - best {row.get('ll_minus_best')} "
                  f"{row['failed'] or ''}", flush=True)
        measure.write_json(arguments.out, {"table": "peers", "rows": rows})
    below = [row for row in rows if row["program"] == "clearway" and min(row.get("ll_minus_best", [0])) < -0.01]
    for row in below:
        print(f"clearway ended below another program: {row['case']} n={row['rows']}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
