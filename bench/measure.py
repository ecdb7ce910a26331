"""Runs a command and says what it cost: CPU seconds (user and system) of the child, wall clock, peak memory."""
import json
import os
import resource
import subprocess
import tempfile
import time


def clean_environment():
    """One thread in every library, and OpenBLAS free to choose the kernels of this processor."""
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    environment.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    return environment


def run(command, limit=600, allowed=(0,)):
    """stdout, cpu, wall (seconds) and rss (MB) of a command.

    `timeout` when it needed more than `limit` seconds of CPU: on a busy machine the clock says little.

    Raises RuntimeError when it ends with a status that is not in `allowed`.
    """
    def limit_cpu():
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))

    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=out, stderr=err, env=clean_environment(), preexec_fn=limit_cpu)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        cpu = usage.ru_utime + usage.ru_stime
        result = {"stdout": out.read(), "cpu": cpu, "wall": wall, "rss": usage.ru_maxrss / 1024.0,
                  "status": child.returncode, "timeout": child.returncode < 0 and cpu >= limit}
        if not result["timeout"] and child.returncode not in allowed:
            raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {err.read()[-2000:]}")
    return result


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else 0.5 * (values[middle - 1] + values[middle])


def simulate(clearway, folder, scenario, experts, dim, rows, seed=1):
    """A table drawn by `clearway simulate`; drawn once per folder. Returns its path."""
    path = os.path.join(folder, f"{scenario}_k{experts}_d{dim}_n{rows}_s{seed}.csv")
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        run([clearway, "simulate", "--quiet", "--scenario", scenario, "--experts", str(experts), "--dim", str(dim),
             "--rows", str(rows), "--seed", str(seed), "--out", path])
    return path


# Exit statuses of `clearway fit`: 3 is a fit that did not converge, which is an outcome.
FIT_STATUSES = (0, 3)


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
