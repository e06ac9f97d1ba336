"""Counts the instructions that each step of a pass and of a scrape executes, and compares them with what was accepted before.

Run by tests/instructions. callgrind counts what is executed, so the figures do not hang on what else the machine does; they
do on the compiler, on the C library and a little on the seeds of hash tables.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PASSES = ("first", "quiet", "behind", "same", "moved", "tenth")
STEPS = ("parse", "apply", "derive", "track", "publish", "gzip", "zstd", "scrape", "text", "openmetrics")
COUNTED = re.compile(r"counted_([a-z]+)")
# Group-partitions.
SMALL, LARGE = 10_000, 100_000
# So much dearer than accepted is a failure; so much cheaper is worth to be accepted.
TOLERANCE = 0.10
# The same where the accepted figures are of another compiler.
OTHER_TOLERANCE = 0.30
# Ten times the rows may take so many times the instructions: linear, and a little for caches and hash tables that grow.
MAX_GROWTH = 11.5
# A step in a pass in which nothing moves and nothing is asked for but metadata: instructions for each group-partition. What
# is left is looking at each broker, topic, group and pair of them to see that it is as it was.
MAX_QUIET = {"apply": 25.0, "derive": 20.0, "track": 10.0, "publish": 2.0, "gzip": 20.0}
# An unoptimised build executes up to eleven times as many.
UNOPTIMISED = 16

Key = collections.namedtuple("Key", "rows change step")


def inclusive(lines):
    """The instructions of each counted function with all that it calls, from a file that callgrind has written."""
    names, counts = {}, collections.Counter()
    step = None
    for line in lines:
        kind, _, called = line.partition("=")
        if kind in ("fn", "cfn"):
            # A name stands where its number is first used, be it that of a caller or of what is called.
            number, _, name = called.strip().partition(" ")
            names.setdefault(number, name)
        if kind == "fn":
            found = COUNTED.search(names[number])
            step = found.group(1) if found else None
        elif step and re.match(r"[+\-*0-9]", line):
            # A position and a cost: the function's own, or, behind a line "calls=", that of one that it calls.
            counts[step] += int(line.split()[1])
    return counts


def count(binary, rows, change):
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory, "callgrind.out")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--toggle-collect=*counted_*"]
        ran = subprocess.run([*command, binary, str(rows), change], capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            sys.exit(f"valgrind failed on {binary} {rows} {change}:\n{ran.stderr}")
        counts = inclusive(out.read_text().splitlines())
    if not counts:
        sys.exit(f"callgrind has seen none of the counted functions in {binary}: was it stripped?")
    return {Key(rows, change, step): instructions for step, instructions in counts.items()}


def judge(counts, accepted, tolerance=TOLERANCE):
    """What is wrong with the counts, in sentences; and which are cheaper than accepted."""
    faults, cheaper = [], []
    for key, instructions in counts.items():
        before = accepted.get(key)
        name = f"{key.step} ({key.change}, {key.rows} rows)"
        if before is None:
            faults.append(f"{name}: nothing is accepted for it yet")
        elif instructions > before * (1 + tolerance):
            faults.append(f"{name}: {instructions / before - 1:.0%} dearer, {before} -> {instructions} instructions")
        elif instructions < before * (1 - tolerance):
            cheaper.append(f"{name}: {1 - instructions / before:.0%} cheaper, {before} -> {instructions} instructions")
    faults += [f"{key.step} ({key.change}, {key.rows} rows): accepted, but not counted" for key in accepted if key not in counts]
    return faults + shape(counts), cheaper


def shape(counts, slack=1):
    """What grows faster than the rows, or costs too much while nothing moves, in sentences."""
    faults = []
    for key, instructions in counts.items():
        name = f"{key.step} ({key.change})"
        small = counts.get(key._replace(rows=key.rows // 10))
        if small and instructions > small * MAX_GROWTH:
            faults.append(f"{name}: {instructions / small:.1f} times the instructions for ten times the rows, not {MAX_GROWTH}")
        bound = MAX_QUIET[key.step] * slack if key.change == "quiet" and key.step in MAX_QUIET else None
        if bound is not None and instructions > key.rows * bound:
            faults.append(f"{name}: {instructions / key.rows:.1f} instructions a row at {key.rows}, not {bound}, though nothing moves")
    return faults


def read(path):
    accepted = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            rows, change, step, instructions = line.split()
            accepted[Key(int(rows), change, step)] = int(instructions)
    return accepted


def write(path, counts, compiler):
    lines = [
        "# Instructions that each step executes: group-partitions, pass, step, instructions.",
        "# Written by tests/instructions --accept.",
        f"# {compiler}",
    ]
    lines += [f"{key.rows} {key.change} {key.step} {instructions}" for key, instructions in counts.items()]
    path.write_text("\n".join(lines) + "\n")


def table(counts):
    sizes = sorted({key.rows for key in counts})
    lines = ["| step | pass |" + "".join(f" {rows} rows | a row |" for rows in sizes), "|---|---|" + "---:|---:|" * len(sizes)]
    for step, change in dict.fromkeys((key.step, key.change) for key in counts):
        cells = []
        for rows in sizes:
            instructions = counts.get(Key(rows, change, step))
            cells.append(f" {instructions:,} | {instructions / rows:.1f} |" if instructions else " – | – |")
        lines.append(f"| {step} | {change} |" + "".join(cells))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="tests/instructions")
    parser.add_argument("binary")
    parser.add_argument("--figures", type=pathlib.Path, required=True)
    parser.add_argument("--accept", action="store_true")
    parser.add_argument("--shape", action="store_true")
    options = parser.parse_args()
    # What grows faster than it should shows at any size, and an unoptimised build is slow.
    sizes = (SMALL // 4, LARGE // 4) if options.shape else (SMALL, LARGE)
    # The longest first, so that no processor is left with it alone.
    runs = [(rows, change) for rows in reversed(sizes) for change in reversed(PASSES)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counted = list(pool.map(lambda run: count(options.binary, *run), runs))
    counts = {key: instructions for of_run in counted for key, instructions in of_run.items()}
    counts = dict(sorted(counts.items(), key=lambda item: (STEPS.index(item[0].step), PASSES.index(item[0].change), item[0].rows)))
    print(table(counts))
    compiler = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if options.accept:
        write(options.figures, counts, compiler)
    tolerance = TOLERANCE
    if not options.shape and compiler not in options.figures.read_text():
        tolerance = OTHER_TOLERANCE
        print(f"Accepted with another compiler than {compiler}: compared within {tolerance:.0%} only.", file=sys.stderr)
    faults, cheaper = (shape(counts, UNOPTIMISED), []) if options.shape else judge(counts, read(options.figures), tolerance)
    for line in cheaper:
        print(f"cheaper: {line}", file=sys.stderr)
    for line in faults:
        print(f"FAILED: {line}", file=sys.stderr)
    if (faults or cheaper) and not options.shape:
        print("tests/instructions --accept writes down what was counted now, once it is known why.", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
