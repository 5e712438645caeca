#!/usr/bin/env python3
"""Beside ONNX Runtime (PyPI: onnxruntime, onnx, numpy): the same model in f32 and in int8, one thread, one process, in turn.

    python3 bench/vs_ort.py MODEL.onnx --data IMAGES.npy [--divide D --mean m,m,m --std s,s,s --layout nhwc|nchw]
                            [--calibration 256] [--batch 1] [--seconds 10] [--cpu-time] [--build build]

int8 of both is static, per channel, calibrated on the first --calibration samples; ONNX Runtime's is QDQ with u8 activations
and s8 weights. Without VNNI its default kernels saturate: there its exact mode (session.x64quantprecision=1) is what is
compared, and the default is shown beside it. Batch normalization is folded before it quantizes. Our plans are made by the tool and run
through libprecinfer.so by ctypes. The ratio is a line's time over ours at the same precision: above 1, ours is faster. What a
call from Python costs, some microseconds, is contained in every line. --cpu-time counts this thread's time alone: for machines
that others use."""
import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

MAX_RANK = 8
F32 = 1                                     # enum precinfer_dtype


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("text", ctypes.c_char * 496)]


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_int), ("dims", ctypes.c_int64 * MAX_RANK),
                ("device", ctypes.c_int)]


class Io(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_int), ("rank", ctypes.c_int), ("dims", ctypes.c_int64 * MAX_RANK),
                ("symbols", ctypes.c_char_p * MAX_RANK)]


class Shape(ctypes.Structure):
    _fields_ = [("input", ctypes.c_char_p), ("rank", ctypes.c_int), ("dims", ctypes.c_int64 * MAX_RANK)]


class SessionOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("max_shapes", ctypes.POINTER(Shape)), ("nshapes", ctypes.c_size_t),
                ("profile", ctypes.c_int), ("keep_all", ctypes.c_int)]


class ContextOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("host", ctypes.c_void_p), ("alloc", ctypes.c_void_p), ("release", ctypes.c_void_p),
                ("log", ctypes.c_void_p), ("parallel_for", ctypes.c_void_p), ("threads", ctypes.c_size_t),
                ("cpu_mask", ctypes.c_char_p), ("kernel", ctypes.c_char_p)]


class Ours:
    """A plan with one f32 input, run on the same array every time."""

    def __init__(self, lib, path, x):
        self.lib, self.err, self.x = lib, Error(), x
        context, plan, session = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        options = ContextOptions(size=ctypes.sizeof(ContextOptions))
        self.need(lib.precinfer_context_new(ctypes.byref(options), ctypes.byref(context), ctypes.byref(self.err)))
        self.need(lib.precinfer_plan_load(context, path.encode(), None, ctypes.byref(plan), ctypes.byref(self.err)))
        io = Io()
        lib.precinfer_plan_input_info(plan, ctypes.c_size_t(0), ctypes.byref(io))
        shape = Shape(io.name, x.ndim, (ctypes.c_int64 * MAX_RANK)(*x.shape))
        options = SessionOptions(ctypes.sizeof(SessionOptions), ctypes.pointer(shape), 1, 0, 0)
        self.need(lib.precinfer_session_new(plan, ctypes.byref(options), ctypes.byref(session), ctypes.byref(self.err)))
        tensor = Tensor(x.ctypes.data, F32, x.ndim, shape.dims, 0)
        self.need(lib.precinfer_bind(session, io.name, ctypes.byref(tensor), ctypes.byref(self.err)))
        self.plan, self.session, self.run_it, self.err_ref = plan, session, lib.precinfer_session_run, ctypes.byref(self.err)
        out = Io()
        lib.precinfer_plan_output_info(plan, ctypes.c_size_t(0), ctypes.byref(out))
        self.output = out.name

    def need(self, status):
        if status:
            sys.exit("libprecinfer: " + self.err.text.decode())

    def run(self):
        self.need(self.run_it(self.session, self.err_ref))

    def value(self):
        t = Tensor()
        self.need(self.lib.precinfer_session_value(self.session, ctypes.c_char_p(self.output), ctypes.byref(t), self.err_ref))
        shape = tuple(t.dims[:t.rank])
        return np.ctypeslib.as_array(ctypes.cast(t.data, ctypes.POINTER(ctypes.c_float)), shape).copy()


class Theirs:
    def __init__(self, ort, path, x, exact):
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if exact:
            options.add_session_config_entry("session.x64quantprecision", "1")
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        self.binding.bind_cpu_input(self.session.get_inputs()[0].name, x)
        self.binding.bind_output(self.session.get_outputs()[0].name)

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def value(self):
        return self.binding.copy_outputs_to_cpu()[0]


def preprocessed(a, images):
    x = images.astype(np.float32)
    if x.ndim == 3:
        x = x[:, None]
    elif a.layout == "nhwc":
        x = x.transpose(0, 3, 1, 2)
    mean, std = (np.array([float(v) for v in s.split(",")], np.float32).reshape(1, -1, 1, 1) for s in (a.mean, a.std))
    return np.ascontiguousarray((x / np.float32(a.divide) - mean) / std)


def quantized(path, samples, place):
    """Static QDQ, as ONNX Runtime's own tool makes it."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    import onnxruntime as ort
    name = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()[0].name

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = iter(samples)

        def get_next(self):
            x = next(self.left, None)
            return None if x is None else {name: x[None]}

    folded, out = os.path.join(place, "folded.onnx"), os.path.join(place, "qdq.onnx")
    quant_pre_process(path, folded, skip_symbolic_shape=True)
    quantize_static(folded, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8)
    return out


def timed(runners, seconds, clock):
    for _ in range(5):
        for r in runners:
            r.run()
    times = [[] for _ in runners]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for r, t in zip(runners, times):
            start = clock()
            r.run()
            t.append(clock() - start)
    return [np.percentile(t, (50, 10, 90)) / 1e3 for t in times], len(times[0])


def has_vnni():
    with open("/proc/cpuinfo") as f:
        flags = f.read()
    return "avx512_vnni" in flags or "avx_vnni" in flags


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--data", required=True)
    p.add_argument("--divide", default=1.0, type=float)
    p.add_argument("--mean", default="0")
    p.add_argument("--std", default="1")
    p.add_argument("--layout", default="nchw")
    p.add_argument("--calibration", default=256, type=int)
    p.add_argument("--batch", default=1, type=int)
    p.add_argument("--seconds", default=10.0, type=float)
    p.add_argument("--cpu-time", action="store_true")
    p.add_argument("--build", default="build")
    a = p.parse_args()
    import onnxruntime as ort
    images = np.load(a.data)
    x = preprocessed(a, images[:max(a.calibration, a.batch)])
    batch = np.ascontiguousarray(x[:a.batch])
    with tempfile.TemporaryDirectory() as place:
        def tool(*args):
            subprocess.run([os.path.join(a.build, "precinfer"), *args], check=True, stdout=subprocess.DEVNULL)
        calibration = os.path.join(place, "x.npy")
        np.save(calibration, x[:a.calibration])
        plans = {q: os.path.join(place, q + ".precinfer") for q in ("f32", "int8")}
        tool("convert", a.model, "-o", plans["f32"], "--precision", "f32")
        tool("convert", a.model, "-o", plans["int8"], "--precision", "int8", "--calibrate", calibration)
        qdq = quantized(a.model, x[:a.calibration], place)
        lib = ctypes.CDLL(os.path.abspath(os.path.join(a.build, "libprecinfer.so")))
        runners = [("precinfer f32", Ours(lib, plans["f32"], batch)), ("ONNX Runtime f32", Theirs(ort, a.model, batch, False)),
                   ("precinfer int8", Ours(lib, plans["int8"], batch))]
        if not has_vnni():
            runners.append(("ONNX Runtime int8, exact", Theirs(ort, qdq, batch, True)))
        runners.append(("ONNX Runtime int8, default", Theirs(ort, qdq, batch, False)))
        got, n = timed([r for _, r in runners], a.seconds, time.thread_time_ns if a.cpu_time else time.perf_counter_ns)
        median = {name: t[0] for (name, _), t in zip(runners, got)}
        value = {name: r.value() for name, r in runners}
    print("%s, batch %d, one thread, %d interleaved runs%s, ONNX Runtime %s" %
          (os.path.basename(a.model), a.batch, n, ", CPU time" if a.cpu_time else "", ort.__version__))
    print("%-28s %11s %11s %11s %10s %12s" % ("", "median us", "p10", "p90", "ratio", "f32 / it"))
    for (name, _), t in zip(runners, got):
        mine = "precinfer int8" if "int8" in name else "precinfer f32"
        own_f32 = "precinfer f32" if name.startswith("precinfer") else "ONNX Runtime f32"
        print("%-28s %11.1f %11.1f %11.1f %9.2fx %11.2fx" % (name, t[0], t[1], t[2], t[0] / median[mine], median[own_f32] / t[0]))
    far = np.abs(value["precinfer f32"] - value["ONNX Runtime f32"]).max() / np.abs(value["ONNX Runtime f32"]).max()
    print("f32 outputs differ by at most %.1e of the largest" % far)
    return 0 if far < 1e-3 else 1


if __name__ == "__main__":
    sys.exit(main())
