"""Handles made and freed a hundred thousand times: memory does not grow.

SPDX-License-Identifier: MIT
"""

from conftest import run_child

CYCLES = """
import numpy as np, sonde

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

rows = np.eye(3, 8, dtype=np.float32)
runtime = sonde.Runtime(threads=1)

def empty(count):
    for _ in range(count):
        sonde.Index("flat", dim=8)
        sonde.Quantizer("raw", 8)
        sonde.Transform("normalise", 8)

def used(count):
    for number in range(count):
        index = sonde.Index("flat", dim=8, runtime=runtime if number % 8 else None).add(rows)
        allowed = (lambda i: True) if number % 2 else [0, 1]
        hits = index.search(rows[0], k=1, filter=allowed, progress=lambda *step: None)
        assert hits.ids[0] == 0 and index.range_search(rows[0], 0.5).ids.size == 1
        with pytest_raises(ValueError):
            index.add(rows[:, :3])
        index.close()

class pytest_raises:
    def __init__(self, kind): self.kind = kind
    def __enter__(self): pass
    def __exit__(self, kind, error, trace): return kind is not None and issubclass(kind, self.kind)

for cycle, count in ((empty, 100_000), (used, 10_000)):
    cycle(3000)
    before = resident()
    cycle(count)
    print(resident() - before)
"""


def test_cycles_do_not_grow():
    """In KiB: a leak of 20 bytes a handle, or of 200 a used one, would show."""
    empty, used = map(int, run_child(CYCLES).split())
    assert empty < 2000 and used < 2000
