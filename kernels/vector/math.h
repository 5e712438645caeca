/* ../ref/math.h in lanes, step by step: the same operations in the same order give the same bits. The comments are there. */
#ifndef PI_VECTOR_MATH_H
#define PI_VECTOR_MATH_H

/* q * x + c, the next step of a polynomial */
#define STEP(q, x, c) q = v_fma(q, x, v_set(c))

INL vf m_most(vf x, float hi) { return v_min(v_set(hi), x); }   /* NaN passes */

struct m_exp { vf p; vi n; };
INL struct m_exp m_exp_parts(vf x)
{
    const vf magic = v_set(12582912.0f), t = v_fma(x, v_set(0x1.715476p+0f), magic), n = v_sub(t, magic);
    const vf high = v_fma(n, v_set(-0x1.62e430p-1f), x), low = v_mul(n, v_set(-0x1.05c610p-29f));
    const vf r = v_sub(high, low);
    vf q = v_set(0x1.6ab8d0p-10f);
    STEP(q, r, 0x1.123d72p-7f);
    STEP(q, r, 0x1.55585ap-5f);
    STEP(q, r, 0x1.55548cp-3f);
    STEP(q, r, 0x1.fffffcp-2f);
    const vf tail = v_fma(v_mul(r, r), q, v_neg(low));
    return (struct m_exp){ v_add(v_set(1.0f), v_add(high, tail)), vi_sub(v_bits(t), v_bits(magic)) };
}
INL vf m_pow2(vi n) { return v_float(VI_SHL(vi_add(n, vi_set(127)), 23)); }

INL vf m_exp_normal(vf x)
{
    const struct m_exp e = m_exp_parts(x);
    return v_mul(e.p, m_pow2(e.n));
}

INL vf m_exp(vf x)
{
    const struct m_exp e = m_exp_parts(m_most(v_max(v_set(-104.0f), x), 89.0f));
    const vi half = VI_SAR(e.n, 1);
    return v_mul(v_mul(e.p, m_pow2(half)), m_pow2(vi_sub(e.n, half)));
}

INL vf m_sigmoid(vf x)
{
    const vf e = m_exp(v_neg(v_abs(x)));
    const vm below = v_less(x, v_set(0));
    const vf q = v_div(v_select(below, e, v_set(1.0f)), v_add(v_set(1.0f), e));
    return v_select(below, v_fma(v_neg(e), q, e), q);
}

INL vf m_tanh(vf x)
{
    const vf y = m_most(v_abs(x), 10.0f), s = v_mul(y, y);
    vf p = v_set(-0x1.750ce2p-8f);
    STEP(p, s, 0x1.51f8cep-6f);
    STEP(p, s, -0x1.b835a4p-5f);
    STEP(p, s, 0x1.1106f6p-3f);
    STEP(p, s, -0x1.555532p-2f);
    const vf near = v_fma(v_mul(y, s), p, y);
    const vf far = v_sub(v_set(1.0f), v_div(v_set(2.0f), v_add(m_exp_normal(v_add(y, y)), v_set(1.0f))));
    return v_with_sign(v_select(v_less(y, v_set(0.625f)), near, far), x);
}

INL vf m_log(vf x)
{
    const vm tiny = v_less(x, v_set(0x1p-126f));
    const vi u = v_bits(v_select(tiny, v_mul(x, v_set(0x1p23f)), x));
    const vi e = VI_SAR(vi_sub(u, vi_set(0x3f3504f3)), 23);
    const vf f = v_sub(v_float(vi_sub(u, VI_SHL(e, 23))), v_set(1.0f));
    const vf n = v_sub(v_from_int(e), v_keep(tiny, v_set(23.0f)));
    vf q = v_set(-0x1.56e7b2p-5f);
    STEP(q, f, 0x1.c6f060p-4f);
    STEP(q, f, -0x1.19d8cep-3f);
    STEP(q, f, 0x1.28febap-3f);
    STEP(q, f, -0x1.53ad9ap-3f);
    STEP(q, f, 0x1.994870p-3f);
    STEP(q, f, -0x1.0004f8p-2f);
    STEP(q, f, 0x1.555608p-2f);
    STEP(q, f, -0x1.fffff8p-2f);
    const vf one = v_fma(v_mul(f, f), q, f), infinite = v_float(vi_set(0x7f800000));
    vf r = v_fma(n, v_set(0x1.62e430p-1f), v_fma(n, v_set(-0x1.05c610p-29f), one));
    r = v_select(v_less(x, infinite), r, x);
    r = v_select(v_less(x, v_set(0)), v_float(vi_set(0x7fc00000)), r);
    return v_select(v_equal(x, v_set(0)), v_neg(infinite), r);
}

INL vf m_erf(vf x)
{
    const vf y = m_most(v_abs(x), 4.0f), s = v_mul(y, y);
    vf p = v_set(0x1.4e1d76p-14f);
    STEP(p, s, -0x1.a5be20p-11f);
    STEP(p, s, 0x1.54440ep-8f);
    STEP(p, s, -0x1.b800b8p-6f);
    STEP(p, s, 0x1.ce2d62p-4f);
    STEP(p, s, -0x1.812740p-2f);
    STEP(p, s, 0x1.06eba8p-3f);
    vf q = v_set(-0x1.5ee272p-16f);
    STEP(q, y, 0x1.c55c94p-12f);
    STEP(q, y, -0x1.10aff0p-8f);
    STEP(q, y, 0x1.9b1e9cp-6f);
    STEP(q, y, -0x1.bb58f8p-4f);
    STEP(q, y, -0x1.444ae2p-1f);
    STEP(q, y, -0x1.2126b4p+0f);
    STEP(q, y, 0x1.667e36p-13f);
    const vf far = v_sub(v_set(1.0f), m_exp_normal(q));
    return v_with_sign(v_select(v_less(y, v_set(0.90625f)), v_fma(y, p, y), far), x);
}
#endif
