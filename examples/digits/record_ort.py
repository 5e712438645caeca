#!/usr/bin/env python3
"""Records what another runtime answers, for the gate: ONNX Runtime's FP32 and its own static INT8 quantization of digits.onnx.

    python3 examples/digits/record_ort.py [FOLDER]          # onnxruntime, onnx, numpy from PyPI; seconds

Writes ort_f32.npz and ort_int8.npz beside this file (or in FOLDER), each with one key, the output's name. Quantization as its
manual has it for CPUs: QDQ nodes, u8 activations, s8 weights, a scale for each output channel, ranges from the least and the
largest value on calibration.npy. Sums of 16 bits saturate on CPUs without VNNI unless weights keep to 7 bits (reduce_range): the
recordings say what one such CPU answered, so they keep to 7 bits and are the same on any.
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


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else HERE
    x, labels = images("evaluation.npy"), np.load(os.path.join(HERE, "evaluation_labels.npy"))
    with tempfile.TemporaryDirectory() as scratch:
        ready, lowered = os.path.join(scratch, "ready.onnx"), os.path.join(scratch, "int8.onnx")
        quant_pre_process(MODEL, ready)
        quantize_static(ready, lowered, Calibration(images("calibration.npy")), quant_format=QuantFormat.QDQ, per_channel=True,
                        reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                        calibrate_method=CalibrationMethod.MinMax)
        for name, path in [("ort_f32.npz", MODEL), ("ort_int8.npz", lowered)]:
            logits = answers(path, x)
            np.savez(os.path.join(folder, name), logits=logits)
            print("%s: onnxruntime %s, %d of %d right" % (name, ort.__version__, (logits.argmax(1) == labels).sum(), len(labels)))


if __name__ == "__main__":
    main()
