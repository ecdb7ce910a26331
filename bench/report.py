#!/usr/bin/python3
"""The results of bench/run as one Markdown page, on standard output: report.py RESULTS-FOLDER"""
import json
import os
import platform
import subprocess
import sys

import check_ratios


def load(folder, name):
    path = os.path.join(folder, name + ".json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)["rows"]


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "not found"


def package(name):
    return first_line("Rscript", "--vanilla", "-e", f'cat(as.character(packageVersion("{name}")))')


def peers(rows):
    lines = ["| problem | rows | program | CPU s | wall s | CPU ratio | wall ratio | memory MB "
             "| log-likelihood minus best, per run | at the best |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        if "cpu" not in row:
            lines.append(f"| {row['case']} | {row['rows']} | {row['program']} | - | - | - | - | - "
                         f"| {'; '.join(row['failed'])} | 0 of {row['runs']} |")
            continue
        gaps = ", ".join(f"{round(gap, 3) + 0.0:.3f}" for gap in row["ll_minus_best"])
        if row["failed"]:
            gaps += f" ({len(row['failed'])} of {row['runs']} failed)"
        lines.append(f"| {row['case']} | {row['rows']} | {row['program']} | {row['cpu']:.3f} | {row['wall']:.2f} "
                     f"| {row['cpu_ratio']:.1f} | {row['wall_ratio']:.1f} | {row['rss']:.0f} | {gaps} "
                     f"| {row['runs'] - row['missed'] - len(row['failed'])} of {row['runs']} |")
    return lines


# CPU seconds of the whole command on `gauss K=4 d=10`, set on a 4 GHz processor, by rows.
GOALS = {1000: 0.03, 10000: 0.35, 100000: 2.0}


def goals(rows):
    """A sentence on the goals that were set before the program was written."""
    parts = []
    for row in rows:
        if row["program"] == "clearway" and row["case"] == "gauss K=4 d=10" and row["rows"] in GOALS and "cpu" in row:
            goal = GOALS[row["rows"]]
            missed = "" if row["cpu"] <= goal else ", missed"
            parts.append(f"{row['rows']} rows {row['cpu']:.3f} s (goal {goal} s{missed})")
    return "CPU seconds of one call on `gauss K=4 d=10` against the goals, which were set on a 4 GHz processor: " + \
        "; ".join(parts) + "."


def growth(rows):
    lines = ["| grows | rows | inputs | experts | CPU s | wall s | memory MB | stopped because |",
             "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(f"| {row['grows']} | {row['rows']} | {row['inputs']} | {row['experts']} | {row['cpu']:.3f} "
                     f"| {row['wall']:.2f} | {row['rss']:.0f} | {row['reason']} |")
    return lines


def stream(rows):
    lines = ["| rows | memory MB | in memory MB | CPU s | CPU ratio | log-likelihood short of the fit in memory |",
             "|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(f"| {row['rows']} | {row['rss']:.0f} | {row['rss_whole']:.0f} | {row['cpu']:.2f} "
                     f"| {row['cpu_ratio']:.1f} | {row['gap']:.2g} |")
    return lines


def main():
    folder = sys.argv[1]
    out = ["# Benchmarks", "",
           "Written by `bench/run --document` (`make bench` shows the same on your machine); do not edit.", "",
           f"{processor()}, {os.cpu_count()} processors, {platform.system()}, {first_line('c++', '--version')}, "
           f"R {package('base')}, flexmix {package('flexmix')}, mixtools {package('mixtools')}. One thread for "
           "everybody. The machine is shared: CPU seconds can be relied on, wall clock shows what else was going on."]
    ratios, fits, scale = load(folder, "ratios"), load(folder, "peers"), load(folder, "scale")
    streams = load(folder, "stream")
    if fits:
        out += ["", "## The same tables in R", "",
                "Clearway: the whole command, from reading the file to the summary, with all its starts and standard errors. The packages: "
                "the fitting call alone, one random start per run (`flexmix-default` as it comes, with "
                "experts dropped below 5 % and 200 iterations; `-tight` with none dropped and a tolerance of 1e-8). "
                "All in turns, medians over the runs; ratios are times Clearway's. Wall clock is that of the process, "
                "for R with its start. Then how far each run stayed below the best of all, and how many came within 0.1 of it.", ""]
        out += peers(fits) + ["", goals(fits)]
    if scale:
        out += ["", "## How a fit grows", "",
                "`clearway fit` on the scenario `gauss` with default settings, whole command.", ""]
        out += growth(scale)
    if streams:
        out += ["", "## Tables beyond memory", "",
                "`clearway fit --stream --chunk-rows 1000` beside the fit in memory on the same tables (K=4, d=10).", ""]
        out += stream(streams)
    if ratios:
        out += ["", "## Kernels", "",
                "CPU time against the plain way on the same data, measured in turns in one run. The matrix forms of "
                "E-step and Gram matrices use Eigen compiled for this processor. Smaller is better.", "", check_ratios.table(ratios)]
    print("\n".join(out))


if __name__ == "__main__":
    main()
