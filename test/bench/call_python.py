"""call_python: what one search costs from Python beside the same search from C: flat, 10 rows of 384 columns, one query.

    SONDE_LIBRARY=lib/libsonde.so.1 python test/bench/call_python.py

Compiles a small C program with cc (CC names another), then takes turns, so that both see the same machine. Prints
microseconds a call: the fastest of many short rounds, which is what the call costs when nothing else runs.

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import subprocess
import tempfile
import timeit

import numpy as np

import sonde

ROOT = pathlib.Path(__file__).resolve().parents[2]
CALLS, ROUNDS, TURNS = 50, 400, 8  # rounds so short that the scheduler seldom strikes one

PROGRAM = r"""
#include <sonde.h>
#include <stdio.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int count, char **word)
{
    static float rows[10 * 384];
    static int64_t ids[10];
    static float scores[10];
    int32_t found;
    uint8_t reason;
    int calls = 0, rounds = 0;
    if (count < 3 || sscanf(word[1], "%d", &calls) + sscanf(word[2], "%d", &rounds) != 2) return 2;
    for (int i = 0; i < 10 * 384; i++) rows[i] = (float)(i * 7919 % 1000) / 1000;
    sonde_array base = sonde_f32(rows, 10, 384), query = sonde_f32(rows, 1, 384);
    sonde_index *index = NULL;
    if (sonde_index_create("flat", 384, NULL, &index) || sonde_index_add(index, &base, NULL)) return 1;
    sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
    sonde_hits hits = {sizeof hits, 0, ids, scores, &found, &reason};
    double best = 1e9;
    for (int r = 0; r < rounds; r++) {
        double start = now();
        for (int i = 0; i < calls; i++)
            if (sonde_index_search(index, &query, &how, &hits)) return 1;
        double took = now() - start;
        if (took < best) best = took;
    }
    printf("%.9f\n", best / calls);
    sonde_index_free(index);
    return 0;
}
"""


def compiled(folder: pathlib.Path) -> pathlib.Path:
    source, program = folder / "search.c", folder / "search"
    source.write_text(PROGRAM)
    library = pathlib.Path(os.environ.get("SONDE_LIBRARY", ROOT / "lib/libsonde.so.1")).resolve()
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-I", ROOT / "include",
                    source, "-o", program, library, f"-Wl,-rpath,{library.parent}"], check=True)
    return program


def in_c(program: pathlib.Path) -> float:
    output = subprocess.run([program, str(CALLS), str(ROUNDS)], check=True, capture_output=True, text=True).stdout
    return float(output)


def in_python(index: sonde.Index, query: np.ndarray) -> float:
    return min(timeit.repeat(lambda: index.search(query), number=CALLS, repeat=ROUNDS)) / CALLS


def measure() -> tuple[float, float]:
    """Seconds a search from C and from Python."""
    rows = (np.arange(3840) * 7919 % 1000 / 1000).astype(np.float32).reshape(10, 384)
    index = sonde.Index("flat", 384).add(rows)
    query = rows[:1]
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(pathlib.Path(folder))
        turns = [(in_c(program), in_python(index, query)) for _ in range(TURNS)]
    return min(c for c, _ in turns), min(python for _, python in turns)


def main() -> None:
    c, python = measure()
    print(f"C {1e6 * c:.2f} us, Python {1e6 * python:.2f} us, Python adds {1e6 * (python - c):.2f} us")


if __name__ == "__main__":
    main()
