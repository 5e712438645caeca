#!/usr/bin/env python3
"""Fits the polynomials of math.h: weighted minimax by Remez's exchange on a dense grid (needs mpmath).

Coefficients are rounded to float from the lowest degree up and the rest fitted again, so that the error printed is that
of the rounded polynomial in exact arithmetic, relative to the function that it serves.
"""
import struct
from mpmath import mp, mpf, exp, log, log1p, erf, erfc, tanh, matrix, lu_solve, cos, pi, fabs, sqrt
mp.prec = 160

def f32(x):
    return mpf(struct.unpack('f', struct.pack('f', float(x)))[0])

def remez(f, w, lo, hi, fixed, degree):
    """Minimises max |w (f - p)|; p's first coefficients are fixed."""
    n = degree + 1 - len(fixed)
    xs = [(lo + hi) / 2 - (hi - lo) / 2 * cos(pi * (2 * i + 1) / 1200) for i in range(600)]
    fs = [f(x) - sum(c * x ** i for i, c in enumerate(fixed)) for x in xs]
    ws = [w(x) for x in xs]
    at = [round(i * 599 / n) for i in range(n + 1)]
    for _ in range(30):
        a, b = matrix(n + 1, n + 1), matrix(n + 1, 1)
        for r, i in enumerate(at):
            for c in range(n):
                a[r, c] = xs[i] ** (c + len(fixed))
            a[r, n] = (-1) ** r / ws[i]
            b[r] = fs[i]
        sol = lu_solve(a, b)
        e = [ws[i] * (fs[i] - sum(sol[c] * xs[i] ** (c + len(fixed)) for c in range(n))) for i in range(600)]
        runs, last = [], 0                      # the extreme of every run of one sign
        for i in range(600):
            s = 1 if e[i] > 0 else -1
            if s != last:
                runs.append(i)
            elif fabs(e[i]) > fabs(e[runs[-1]]):
                runs[-1] = i
            last = s
        while len(runs) > n + 1:
            runs.pop(0 if fabs(e[runs[0]]) < fabs(e[runs[-1]]) else -1)
        if len(runs) < n + 1 or runs == at:
            break
        at = runs
    return list(fixed) + [sol[c] for c in range(n)], max(fabs(x) for x in e)

def fit(name, f, w, lo, hi, degree):
    lo, hi = mpf(lo), mpf(hi)
    fixed = []
    for d in range(degree + 1):
        p, _ = remez(f, w, lo, hi, fixed, degree)
        fixed.append(f32(p[d]))
    xs = [lo + (hi - lo) * (i + mpf("0.37")) / 2000 for i in range(2000)]
    err = max(fabs(w(x) * (f(x) - sum(c * x ** i for i, c in enumerate(fixed)))) for x in xs)
    print(name, 'degree', degree, 'on [%s, %s]' % (mp.nstr(lo, 6), mp.nstr(hi, 6)), 'error 2^%s' % mp.nstr(log(err, 2), 4))
    print('    ' + ', '.join(float(c).hex() + 'f' for c in fixed))

h = log(mpf(2)) / 2 * mpf('1.001')
fit('exp: (exp(r) - 1 - r) / r^2', lambda r: (exp(r) - 1 - r) / r ** 2, lambda r: r ** 2 / exp(r), -h, h, 4)
fit('tanh: (tanh(x) - x) / x^3 in x^2', lambda s: (tanh(sqrt(s)) / sqrt(s) - 1) / s,
    lambda s: s * sqrt(s) / tanh(sqrt(s)), 1e-9, mpf('0.625') ** 2, 4)
fit('log: (log(1 + f) - f) / f^2', lambda x: (log1p(x) - x) / x ** 2 if fabs(x) > 1e-12 else mpf(-0.5) + x / 3,
    lambda x: x ** 2 / fabs(log1p(x)) if fabs(x) > 1e-12 else fabs(x), sqrt(mpf(0.5)) - 1, sqrt(mpf(2)) - 1, 8)
fit('erf: (erf(x) - x) / x in x^2', lambda s: erf(sqrt(s)) / sqrt(s) - 1,
    lambda s: sqrt(s) / erf(sqrt(s)), 1e-9, mpf(0.90625)**2, 6)
fit('erf: log(erfc(a))', lambda a: log(erfc(a)), lambda a: erfc(a) / erf(a), 0.90625, 4, 7)
