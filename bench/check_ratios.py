#!/usr/bin/python3
"""Ratios of CPU times from Google Benchmark's JSON against targets and alarms.

check_ratios.py RATIOS.json RESULT.json [RESULT.json ...] [--out FILE]

Takes the medians of the repetitions. Prints a Markdown table, writes the numbers to FILE, ends with 1 when a ratio is
beyond its alarm or a benchmark is missing.
"""
import argparse
import json
import math
import sys


def medians(files):
    """Median CPU time in seconds of every benchmark, by name."""
    seconds = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    found = {}
    for name in files:
        with open(name, encoding="utf-8") as file:
            for run in json.load(file)["benchmarks"]:
                if run.get("aggregate_name") == "median":
                    found[run["run_name"]] = run["cpu_time"] * seconds[run["time_unit"]]
    return found


def judge(rule, times):
    """The ratio of one rule, and what it means."""
    missing = [name for name in [rule["of"], *rule["over"]] if name not in times]
    if missing:
        return {**rule, "measured": None, "verdict": "missing " + ", ".join(missing)}
    value = times[rule["of"]] / min(times[name] for name in rule["over"])
    if rule.get("log10"):
        value = math.log10(value)
    verdict = "ALARM" if value > rule["alarm"] else "target missed" if value > rule["target"] else "ok"
    return {**rule, "measured": round(value, 4), "milliseconds": round(times[rule["of"]] * 1e3, 4), "verdict": verdict}


def table(rows):
    lines = ["| ratio | what | ours, ms | measured | target | alarm | |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        measured = "-" if row["measured"] is None else f"{row['measured']:.3f}"
        lines.append(f"| {row['id']} | {row['what']} | {row.get('milliseconds', '-')} | {measured} | {row['target']} "
                     f"| {row['alarm']} | {row['verdict']} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ratios")
    parser.add_argument("results", nargs="+")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    with open(arguments.ratios, encoding="utf-8") as file:
        rules = json.load(file)["ratios"]
    rows = [judge(rule, medians(arguments.results)) for rule in rules]
    print(table(rows))
    if arguments.out:
        with open(arguments.out, "w", encoding="utf-8") as file:
            json.dump({"table": "ratios", "rows": rows}, file, indent=1)
    return 1 if any(row["verdict"] not in ("ok", "target missed") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
