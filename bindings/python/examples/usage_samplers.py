"""What to train on next, which token comes next, which way from noise to data.

    python usage_samplers.py FOLDER_WITH_THE_EXAMPLE_DATA
"""
import pathlib
import sys

import numpy as np
import numpy.typing as npt
import sonde

folder = pathlib.Path(sys.argv[1])
documents, q = (np.load(folder / name).astype(np.float32) for name in ("glosses.npy", "questions.npy"))
d = documents[:3000]
pos = (q @ d.T).argmax(axis=1)[:, None]                    # stands in for what people marked as relevant
batch = 64

negatives = sonde.RowSampler("adore(index=ivf(metric=ip), depth=200)", queries=q, documents=d, positives=pos).draw(batch)
assert negatives.groups is not None                        # the query of each negative
print("negatives of the first query:", negatives.ids[negatives.groups == negatives.groups[0]][:5])

rows, weights = sonde.RowSampler("weighted(replace=no)").fit(weights=np.linalg.norm(d, axis=1)).draw(10)
print("rows:", rows, "weights:", weights.round(2))

chain = sonde.TokenSampler("chain(repetition(penalty=1.1), typical(mass=0.9), temperature(value=0.8))", vocabulary=32000, seed=7)
logits = np.random.default_rng(0).standard_normal(32000).astype(np.float32) * 3
token = chain.next(logits)
print("token:", token, "then", [chain.next(logits) for _ in range(3)])

x = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)


def model(x: npt.NDArray[np.float32], t: float) -> npt.NDArray[np.float32]:
    """The best guess of the data where all data is 0.5."""
    return np.full_like(x, 0.5)


solver = sonde.PathSampler("dpmpp(order=2, schedule=karras(steps=20))", shape=x.shape)
x = solver.run(80 * x, model)                    # model(x, t) -> prediction
print("data:", x.reshape(-1)[:3])
solver.start(80 * x)
while (ask := solver.ask()):                # the same, with the loop in your hands
    solver.tell(model(ask.x, ask.t))
print("data:", solver.state.reshape(-1)[:3])
