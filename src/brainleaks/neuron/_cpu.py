"""The LIF recursion compiled for the CPU, one pass over memory each way.

:mod:`brainleaks.neuron` holds the equations; here they run without temporaries. Time is a
recursion and neurons are independent, so the neurons are cut into blocks that stay in the
first-level cache while time runs through them, and the blocks are shared among threads.
The reset enters as three switches (0.0 or 1.0), which keeps the inner loops free of branches:

    subtract   a firing neuron loses its threshold
    zero       a firing neuron loses its membrane
    immediate  it does so in the step in which it fires, not in the next

The arithmetic is in the order of the reference implementation, without fused multiply-add,
so that no spike falls on the other side of the threshold.
"""

import numba
import numpy as np

_BLOCK = 1024


@numba.njit(parallel=True, cache=True)
def forward(current, spikes, before, membrane, beta, threshold, subtract, zero, immediate):
    """Fill ``spikes`` and ``membrane``, ``(T, N)`` like ``current``, and ``before`` if it has rows.

    ``before`` is the membrane before an immediate reset; with a delayed one it is ``membrane``.
    """
    steps, neurons = current.shape
    one = current.dtype.type(1.0)
    nil = current.dtype.type(0.0)
    for block in numba.prange((neurons + _BLOCK - 1) // _BLOCK):
        lo = block * _BLOCK
        hi = min(lo + _BLOCK, neurons)
        state = np.zeros(hi - lo, current.dtype)
        unreset = np.zeros(hi - lo, current.dtype)
        for t in range(steps):
            inflow, fired = current[t, lo:hi], spikes[t, lo:hi]
            for j in range(hi - lo):
                u = state[j]
                reset = one if u > threshold else nil
                v = beta * (u * (one - zero * reset)) + inflow[j] - reset * (subtract * threshold)
                spike = one if v > threshold else nil
                fired[j] = spike
                unreset[j] = v
                state[j] = v - immediate * (spike - reset) * (subtract * threshold + zero * v)
            membrane[t, lo:hi] = state
            if before.shape[0]:
                before[t, lo:hi] = unreset


@numba.njit(parallel=True, cache=True)
def backward(
    grad_current,
    grad_spikes,
    grad_membrane,
    before,
    membrane,
    beta,
    threshold,
    subtract,
    zero,
    immediate,
    gain,
    sharpness,
    linear,
):
    """Fill ``grad_current``; a gradient that is absent is passed with no rows.

    The surrogate derivative is ``gain / (1 + linear*q + q*q)``, ``q = sharpness*|v - threshold|``.
    """
    steps, neurons = before.shape
    one = before.dtype.type(1.0)
    nil = before.dtype.type(0.0)
    for block in numba.prange((neurons + _BLOCK - 1) // _BLOCK):
        lo = block * _BLOCK
        hi = min(lo + _BLOCK, neurons)
        carry = np.zeros(hi - lo, before.dtype)
        to_spike = np.zeros(hi - lo, before.dtype)
        initial = np.zeros(hi - lo, before.dtype)
        for t in range(steps - 1, -1, -1):
            if grad_membrane.shape[0]:
                row = grad_membrane[t, lo:hi]
                for j in range(hi - lo):
                    carry[j] += row[j]
            if grad_spikes.shape[0]:
                row = grad_spikes[t, lo:hi]
                for j in range(hi - lo):
                    to_spike[j] = row[j]
            previous = membrane[t - 1, lo:hi] if t else initial
            v_in, out = before[t, lo:hi], grad_current[t, lo:hi]
            for j in range(hi - lo):
                v = v_in[j]
                reset = one if previous[j] > threshold else nil
                spike = one if v > threshold else nil
                q = sharpness * abs(v - threshold)
                slope = gain / (one + linear * q + q * q)
                lost = immediate * (subtract * threshold + zero * v)
                g = carry[j] * (one - immediate * zero * (spike - reset))
                g += (to_spike[j] - carry[j] * lost) * slope
                out[j] = g
                carry[j] = beta * g * (one - zero * reset)
