#!/usr/bin/env python3
"""Records what another runtime answers, for the gate: ONNX Runtime's FP32 and its own static INT8 quantization of digits.onnx.

    python3 examples/digits/record_ort.py [FOLDER]          # onnxruntime, onnx, numpy from PyPI; seconds

Writes ort_f32.npz, ort_int8.npz and ort_int8_full.npz beside this file (or in FOLDER), each with one key, the output's name.
Quantization as its manual has it for CPUs: QDQ nodes, u8 activations, s8 weights, a scale for each output channel, ranges from
the least and the largest value on calibration.npy. Its 16-bit sums saturate on CPUs without VNNI, for which the manual has
reduce_range (weights of 7 bits): ort_int8 sets it, ort_int8_full leaves the default. The recordings in the repository come from a
CPU without VNNI.
"""
import os
import sys
import tempfile
import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "digits.onnx")


def images(name):
    return np.load(os.path.join(HERE, name))[:, None].astype(np.float32) / np.float32(16)


class Calibration(CalibrationDataReader):
    def __init__(self, x):
        self.batches = iter([{"image": x[i:i + 16]} for i in range(0, len(x), 16)])

    def get_next(self):
        return next(self.batches, None)


def answers(path, x):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["logits"], {"image": x[i:i + 1]})[0] for i in range(len(x))])


def lower(model, path, reduce_range):
    quantize_static(model, path, Calibration(images("calibration.npy")), quant_format=QuantFormat.QDQ, per_channel=True,
                    reduce_range=reduce_range, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                    calibrate_method=CalibrationMethod.MinMax)
    return path


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else HERE
    x, labels = images("evaluation.npy"), np.load(os.path.join(HERE, "evaluation_labels.npy"))
    with tempfile.TemporaryDirectory() as scratch:
        ready = os.path.join(scratch, "ready.onnx")
        quant_pre_process(MODEL, ready)
        models = {"ort_f32": MODEL, "ort_int8": lower(ready, os.path.join(scratch, "int8.onnx"), True),
                  "ort_int8_full": lower(ready, os.path.join(scratch, "full.onnx"), False)}
        for name, path in models.items():
            logits = answers(path, x)
            np.savez(os.path.join(folder, name + ".npz"), logits=logits)
            print("%s: onnxruntime %s, %d of %d right" % (name, ort.__version__, (logits.argmax(1) == labels).sum(), len(labels)))


if __name__ == "__main__":
    main()
