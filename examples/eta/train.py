#!/usr/bin/env python3
"""Trains the repository's arrival-time network on the trips that trips.c draws. Needed only to make it anew; nothing runs this.

    make eta-data && python3 examples/eta/train.py build/eta [SEED]         # numpy and onnx; a minute of one core

Embeddings of origin, destination, hour and weekday beside six figures of the trip, then 64 - 128 - 128 - 1 with ReLU. Adam
with decoupled weight decay on the absolute error. Only the training set is looked at: its first 27,000 trips train, by its last
3,000 the number of epochs and the decay were chosen.
"""
import os
import sys
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
TABLES = [("origin", 80, 20), ("destination", 80, 20), ("hour", 24, 12), ("weekday", 7, 6)]
FEATURES, HIDDEN, EPOCHS, BATCH, DECAY = 6, 128, 30, 250, 0.5
WIDTH = FEATURES + sum(dim for _, _, dim in TABLES)


def load(folder, name):
    arrays = np.load(os.path.join(folder, name + ".npz"))
    minutes = np.loadtxt(os.path.join(folder, name + ".csv"), delimiter=",", skiprows=1, usecols=0)
    return {k: arrays[k] for k in arrays.files}, minutes.astype(np.float32)


def start(rng):
    p = {name: rng.normal(0, 0.5, (rows, dim)) for name, rows, dim in TABLES}
    for i, (a, b) in enumerate([(WIDTH, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 1)]):
        p["w%d" % i] = rng.normal(0, np.sqrt(2 / a), (a, b))
        p["b%d" % i] = np.zeros(b)
    return {k: v.astype(np.float32) for k, v in p.items()}


def forward(p, x):
    """Everything that backward wants; the last is the answer."""
    a = np.concatenate([p[name][x[name]] for name, _, _ in TABLES] + [x["trip"]], 1)
    h = np.maximum(a @ p["w0"] + p["b0"], 0)
    g = np.maximum(h @ p["w1"] + p["b1"], 0)
    return a, h, g, (g @ p["w2"] + p["b2"])[:, 0]


def backward(p, x, a, h, g, dy):
    """Gradients of the mean of a loss whose slope at each answer is dy."""
    d = {}
    dy = (dy / len(dy))[:, None].astype(np.float32)
    d["w2"], d["b2"] = g.T @ dy, dy.sum(0)
    dg = dy @ p["w2"].T * (g > 0)
    d["w1"], d["b1"] = h.T @ dg, dg.sum(0)
    dh = dg @ p["w1"].T * (h > 0)
    d["w0"], d["b0"] = a.T @ dh, dh.sum(0)
    da, at = dh @ p["w0"].T, 0
    for name, rows, dim in TABLES:
        d[name] = np.zeros((rows, dim), np.float32)
        np.add.at(d[name], x[name], da[:, at:at + dim])
        at += dim
    return d


def train(x, y, rng):
    p, step, rate = start(rng), 0, 2e-3
    m = {k: np.zeros_like(v) for k, v in p.items()}
    v = {k: np.zeros_like(w) for k, w in p.items()}
    last = len(y) * 9 // 10
    held = {k: a[last:] for k, a in x.items()}
    p["b2"][:] = np.median(y[:last])
    for epoch in range(EPOCHS):
        order = rng.permutation(last)
        for i in range(0, last, BATCH):
            pick = order[i:i + BATCH]
            batch = {k: a[pick] for k, a in x.items()}
            a, h, g, out = forward(p, batch)
            d = backward(p, batch, a, h, g, np.clip((out - y[pick]) / 0.25, -1, 1))     # Huber's slope: smooth near 0
            step += 1
            now = rate * 0.5 * (1 + np.cos(np.pi * step / (EPOCHS * -(-last // BATCH))))
            for k in p:
                m[k] += 0.1 * (d[k] - m[k])
                v[k] += 0.001 * (d[k] * d[k] - v[k])
                p[k] -= np.float32(now) * ((m[k] / (1 - 0.9 ** step)) / (np.sqrt(v[k] / (1 - 0.999 ** step)) + 1e-8)
                                           + np.float32(0 if k[0] == "b" else DECAY) * p[k])
        print("epoch %d: %.3f minutes off on average, %.3f on the rest"
              % (epoch + 1, np.abs(forward(p, {k: a[:last] for k, a in x.items()})[3] - y[:last]).mean(),
                 np.abs(forward(p, held)[3] - y[last:]).mean()), flush=True)
    return p


def write(p, mean, std, path):
    nodes = [helper.make_node("Sub", ["trip", "mean"], ["centred"], "centre"),
             helper.make_node("Div", ["centred", "std"], ["scaled"], "scale")]
    for name, _, _ in TABLES:
        nodes.append(helper.make_node("Gather", [name + "_table", name], [name + "_embedding"], name, axis=0))
    parts = [name + "_embedding" for name, _, _ in TABLES] + ["scaled"]
    nodes.append(helper.make_node("Concat", parts, ["joined"], "join", axis=1))
    for i, (x, y) in enumerate([("joined", "h0"), ("r0", "h1"), ("r1", "minutes")]):
        nodes.append(helper.make_node("Gemm", [x, "w%d" % i, "b%d" % i], [y], "fc%d" % i))
        if i < 2:
            nodes.append(helper.make_node("Relu", [y], ["r%d" % i], "relu%d" % i))
    weights = [numpy_helper.from_array(p[name], name + "_table") for name, _, _ in TABLES]
    weights += [numpy_helper.from_array(p["%s%d" % (k, i)], "%s%d" % (k, i)) for i in range(3) for k in "wb"]
    weights += [numpy_helper.from_array(mean, "mean"), numpy_helper.from_array(std, "std")]
    inputs = [helper.make_tensor_value_info("trip", TensorProto.FLOAT, ["N", FEATURES])]
    inputs += [helper.make_tensor_value_info(name, TensorProto.INT64, ["N"]) for name, _, _ in TABLES]
    outputs = [helper.make_tensor_value_info("minutes", TensorProto.FLOAT, ["N", 1])]
    graph = helper.make_graph(nodes, "eta", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="examples/eta/train.py")
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main():
    folder, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    x, y = load(folder, "training")
    mean, std = x["trip"].mean(0), x["trip"].std(0)
    x["trip"] = (x["trip"] - mean) / std
    p = train(x, y, np.random.default_rng(seed))
    write(p, mean, std, os.path.join(HERE, "eta.onnx"))


if __name__ == "__main__":
    main()
