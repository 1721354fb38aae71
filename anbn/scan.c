/* The loops over time of the recurrent networks, compiled: by compiled.py for a processor, by gpu.py
   for a GPU.

   S networks, B sequences, T steps, K symbols, H hidden units; G = H (SRN) or 4H (LSTM) rows of
   pre-activations. Every array is contiguous, its axes in the order given; what one network reads
   and writes lies together, so that it fits the fastest cache. Networks are independent, and so
   are sequences: on a processor the outermost loops take one network and LANES sequences, which
   fill a vector register of most, through all their steps. `lanes` holds one number for each of
   them (vectors as GCC and Clang extend C by). On a GPU every sequence has a thread of its own,
   `lanes` is one number, and K and H are known, so that all else is kept in registers.
*/

#ifdef ON_GPU

typedef float lanes;
typedef int whole;
typedef long long int64_t;
#define LANES 1
#define INLINE static __device__ __forceinline__
#define ENTRY extern "C" __global__ void
#define ZERO 0.0f
#define LANE(x, b) (x)

INLINE lanes choose(whole yes, float constant, lanes otherwise) {
    return yes ? constant : otherwise;
}

INLINE lanes two_to(lanes m) { return __int_as_float(((int)m + 127) << 23); }

#else

#include <stdint.h>
#include <string.h>

#define LANES 8
typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t whole __attribute__((vector_size(4 * LANES)));
#define INLINE static inline __attribute__((always_inline))
#define ENTRY void
#define ZERO ((lanes){0})
#define LANE(x, b) (x)[b]
#define N_SYMBOLS K
#define N_HIDDEN H

INLINE lanes choose(whole yes, float constant, lanes otherwise) {
    lanes same = constant - ZERO;
    return (lanes)((yes & (whole)same) | (~yes & (whole)otherwise));
}

INLINE lanes two_to(lanes m) {
    return (lanes)((__builtin_convertvector(m, whole) + 127) << 23);
}

#endif

/* e^x - 1 without the loss of digits near 0: x = m ln 2 + r with |r| <= ln 2 / 2, e^r - 1 by its
   series, then 2^m (e^r - 1) + (2^m - 1). */
INLINE lanes exp_minus_1(lanes x) {
    x = choose(x > 88.0f, 88.0f, x); /* a NaN stays one */
    x = choose(x < -87.0f, -87.0f, x);
    lanes m = (x * 1.44269504f + 12582912.0f) - 12582912.0f; /* to the nearest whole number */
    lanes r = (x - m * 0.693359375f) + m * 2.12194440e-4f;   /* ln 2 in two parts */
    lanes series = r * (1.0f / 5040) + 1.0f / 720;
    series = series * r + 1.0f / 120;
    series = series * r + 1.0f / 24;
    series = series * r + 1.0f / 6;
    series = series * r + 0.5f;
    series = series * r * r + r;
    return two_to(m) * series + (two_to(m) - 1.0f);
}

INLINE lanes sigmoid(lanes x) {
    lanes s = 1.0f / (2.0f + exp_minus_1(-x));
    return choose(x < -88.0f, 0.0f, s); /* a shut gate lets nothing at all through */
}

INLINE lanes tanh_of(lanes x) {
    x = choose(x > 9.5f, 9.5f, x); /* beyond, 1 in single precision */
    x = choose(x < -9.5f, -9.5f, x);
    lanes e = exp_minus_1(2.0f * x);
    return e / (e + 2.0f);
}

/* Reads, and writes, n of the B columns of some rows; lanes beyond n are zero. */
INLINE void take(lanes *here, const float *there, int rows, int B, int n) {
    for (int r = 0; r < rows; r++)
        if (n == LANES) {
            memcpy(here + r, there + r * B, sizeof *here);
        } else {
            here[r] = ZERO;
            for (int b = 0; b < n; b++) LANE(here[r], b) = there[r * B + b];
        }
}

INLINE void put(float *there, const lanes *here, int rows, int B, int n) {
    for (int r = 0; r < rows; r++)
        if (n == LANES)
            memcpy(there + r * B, here + r, sizeof *here);
        else
            for (int b = 0; b < n; b++) there[r * B + b] = LANE(here[r], b);
}

/* The symbols of n sequences as columns of a 1 among zeros. */
INLINE void one_hot(lanes *on, const int64_t *symbols, int K, int n) {
    whole symbol;
    for (int b = 0; b < LANES; b++) LANE(symbol, b) = b < n ? (int)symbols[b] : -1;
    for (int k = 0; k < K; k++) on[k] = choose(symbol == k, 1.0f, ZERO);
}

/* to (n_to) += weights (n_from, n_to) transposed times from (n_from) */
INLINE void forward(lanes *to, const float *weights, const lanes *from, int n_from, int n_to) {
    for (int r = 0; r < n_to; r++) {
        lanes sum = to[r];
        for (int c = 0; c < n_from; c++) sum += weights[c * n_to + r] * from[c];
        to[r] = sum;
    }
}

/* from (n_from) += weights (n_from, n_to) times to (n_to) */
INLINE void backward(lanes *from, const float *weights, const lanes *to, int n_from, int n_to) {
    for (int c = 0; c < n_from; c++) {
        lanes sum = from[c];
        for (int r = 0; r < n_to; r++) sum += weights[c * n_to + r] * to[r];
        from[c] = sum;
    }
}

/* d_weights (n_from, n_to) += from times to transposed, kept apart for every lane */
INLINE void outer(lanes *d_weights, const lanes *from, const lanes *to, int n_from, int n_to) {
    for (int c = 0; c < n_from; c++)
        for (int r = 0; r < n_to; r++) d_weights[c * n_to + r] += from[c] * to[r];
}

INLINE void add_lanes(double *sums, const lanes *apart, int rows) {
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < LANES; b++) sums[r] += LANE(apart[r], b);
}

#define CLEAR(array) memset(array, 0, sizeof array)

/* From here on pointers are those of one network, at the first of its n sequences. hidden and cell
   hold the start before the first step: (T+1, H, B). */

INLINE void srn_forward_some(const float *across, const float *V, const float *out_bias,
                             const int64_t *symbols, float *hidden, float *logits, int T, int K,
                             int H, int B, int n) {
    lanes on[N_SYMBOLS], rows[N_HIDDEN], h_t[N_HIDDEN], out[N_SYMBOLS];
    take(h_t, hidden, H, B, n);
    for (int t = 0; t < T; t++) {
        one_hot(on, symbols + t * B, K, n);
        CLEAR(rows);
        forward(rows, across, on, K, H);
        forward(rows, across + K * H, h_t, H, H);
        for (int h = 0; h < H; h++) h_t[h] = tanh_of(rows[h]);
        put(hidden + (t + 1) * H * B, h_t, H, B, n);
        for (int k = 0; k < K; k++) out[k] = out_bias[k] - ZERO;
        forward(out, V, h_t, H, K);
        put(logits + t * K * B, out, K, B, n);
    }
}

INLINE void srn_backward_some(const float *across, const float *V, const int64_t *symbols,
                              const float *hidden, const float *d_logits, double *d_across,
                              double *d_V, double *d_bias, float *d_start, int T, int K, int H,
                              int B, int n) {
    lanes on[N_SYMBOLS], out[N_SYMBOLS];
    lanes h_t[N_HIDDEN], before[N_HIDDEN], d_hidden[N_HIDDEN], d_rows[N_HIDDEN];
    lanes sums[(N_SYMBOLS + N_HIDDEN) * N_HIDDEN], sums_V[N_HIDDEN * N_SYMBOLS];
    lanes sums_bias[N_SYMBOLS];
    CLEAR(sums), CLEAR(sums_V), CLEAR(sums_bias), CLEAR(d_hidden);
    take(h_t, hidden + T * H * B, H, B, n);
    for (int t = T - 1; t >= 0; t--) {
        take(out, d_logits + t * K * B, K, B, n);
        backward(d_hidden, V, out, H, K);
        outer(sums_V, h_t, out, H, K);
        for (int k = 0; k < K; k++) sums_bias[k] += out[k];
        for (int h = 0; h < H; h++) d_rows[h] = d_hidden[h] * (1.0f - h_t[h] * h_t[h]);
        one_hot(on, symbols + t * B, K, n);
        take(before, hidden + t * H * B, H, B, n);
        outer(sums, on, d_rows, K, H);
        outer(sums + K * H, before, d_rows, H, H);
        CLEAR(d_hidden);
        backward(d_hidden, across + K * H, d_rows, H, H);
        memcpy(h_t, before, sizeof h_t);
    }
    put(d_start, d_hidden, H, B, n);
    add_lanes(d_across, sums, (K + H) * H);
    add_lanes(d_V, sums_V, H * K);
    add_lanes(d_bias, sums_bias, K);
}

/* gates (T, 4H, B), squashed (T, H, B): what the backward pass needs besides hidden and cell. */
INLINE void lstm_forward_some(const float *across, const float *V, const float *out_bias,
                              const int64_t *symbols, float *hidden, float *cell, float *gates,
                              float *squashed, float *logits, int T, int K, int H, int B, int n) {
    const int G = 4 * H;
    lanes on[N_SYMBOLS], out[N_SYMBOLS], rows[4 * N_HIDDEN];
    lanes h_t[N_HIDDEN], c_t[N_HIDDEN], tanh_c[N_HIDDEN];
    take(h_t, hidden, H, B, n);
    take(c_t, cell, H, B, n);
    for (int t = 0; t < T; t++) {
        one_hot(on, symbols + t * B, K, n);
        CLEAR(rows);
        forward(rows, across, on, K, G);
        forward(rows, across + K * G, h_t, H, G);
        for (int h = 0; h < H; h++) {
            lanes i = rows[h] = sigmoid(rows[h]);
            lanes f = rows[H + h] = sigmoid(rows[H + h]);
            lanes g = rows[2 * H + h] = tanh_of(rows[2 * H + h]);
            lanes o = rows[3 * H + h] = sigmoid(rows[3 * H + h]);
            c_t[h] = f * c_t[h] + i * g;
            tanh_c[h] = tanh_of(c_t[h]);
            h_t[h] = o * tanh_c[h];
        }
        put(gates + t * G * B, rows, G, B, n);
        put(squashed + t * H * B, tanh_c, H, B, n);
        put(cell + (t + 1) * H * B, c_t, H, B, n);
        put(hidden + (t + 1) * H * B, h_t, H, B, n);
        for (int k = 0; k < K; k++) out[k] = out_bias[k] - ZERO;
        forward(out, V, h_t, H, K);
        put(logits + t * K * B, out, K, B, n);
    }
}

INLINE void lstm_backward_some(const float *across, const float *V, const int64_t *symbols,
                               const float *hidden, const float *cell, const float *gates,
                               const float *squashed, const float *d_logits, double *d_across,
                               double *d_V, double *d_bias, float *d_start, float *d_cell, int T,
                               int K, int H, int B, int n) {
    const int G = 4 * H;
    lanes on[N_SYMBOLS], out[N_SYMBOLS];
    lanes h_t[N_HIDDEN], before[N_HIDDEN], c_before[N_HIDDEN], tanh_c[N_HIDDEN];
    lanes rows[4 * N_HIDDEN], d_hidden[N_HIDDEN], d_c[N_HIDDEN], d_rows[4 * N_HIDDEN];
    lanes sums[(N_SYMBOLS + N_HIDDEN) * 4 * N_HIDDEN], sums_V[N_HIDDEN * N_SYMBOLS];
    lanes sums_bias[N_SYMBOLS];
    CLEAR(sums), CLEAR(sums_V), CLEAR(sums_bias), CLEAR(d_hidden), CLEAR(d_c);
    take(h_t, hidden + T * H * B, H, B, n);
    for (int t = T - 1; t >= 0; t--) {
        take(out, d_logits + t * K * B, K, B, n);
        backward(d_hidden, V, out, H, K);
        outer(sums_V, h_t, out, H, K);
        for (int k = 0; k < K; k++) sums_bias[k] += out[k];
        take(rows, gates + t * G * B, G, B, n);
        take(tanh_c, squashed + t * H * B, H, B, n);
        take(c_before, cell + t * H * B, H, B, n);
        for (int h = 0; h < H; h++) {
            lanes i = rows[h], f = rows[H + h], g = rows[2 * H + h], o = rows[3 * H + h];
            lanes c = tanh_c[h], d_h = d_hidden[h];
            lanes d = d_c[h] + d_h * o * (1.0f - c * c);
            d_rows[h] = d * g * i * (1.0f - i);
            d_rows[H + h] = d * c_before[h] * f * (1.0f - f);
            d_rows[2 * H + h] = d * i * (1.0f - g * g);
            d_rows[3 * H + h] = d_h * c * o * (1.0f - o);
            d_c[h] = d * f;
        }
        one_hot(on, symbols + t * B, K, n);
        take(before, hidden + t * H * B, H, B, n);
        outer(sums, on, d_rows, K, G);
        outer(sums + K * G, before, d_rows, H, G);
        CLEAR(d_hidden);
        backward(d_hidden, across + K * G, d_rows, H, G);
        memcpy(h_t, before, sizeof h_t);
    }
    put(d_start, d_hidden, H, B, n);
    put(d_cell, d_c, H, B, n);
    add_lanes(d_across, sums, (K + H) * G);
    add_lanes(d_V, sums_V, H * K);
    add_lanes(d_bias, sums_bias, K);
}

/* The n sequences of network s from b on in an array (S, rows, B); and the network's weights. */
#define AT(array, rows) (array + (long)s * (rows) * B + b)
#define OF(array, count) (array + (long)s * (count))

#ifdef ON_GPU

/* A thread's own network s and sequence b. Sums over sequences are left to whoever called, for a
   GPU would add them up in any order: SUMS is a place of this sequence alone. */
#define FOR_ALL(some)                                                   \
    {                                                                   \
        const int here = blockIdx.x * blockDim.x + threadIdx.x;         \
        const int s = here / B, b = here % B, n = 1;                    \
        const int K = N_SYMBOLS, H = N_HIDDEN;                          \
        if (s < S) some;                                                \
    }
#define SUMS(array, count) (array + ((long)s * B + b) * (count))

#else

/* Every network s and LANES sequences from b on: in full registers, then what is left over. */
#define FOR_ALL(some)                      \
    for (int s = 0; s < S; s++)            \
        for (int b = 0; b < B; b += LANES) \
            if (B - b >= LANES) {          \
                const int n = LANES;       \
                some;                      \
            } else {                       \
                const int n = B - b;       \
                some;                      \
            }
#define SUMS OF

#endif

ENTRY srn_forward(const float *across, const float *V, const float *out_bias, const int64_t *symbols,
                 float *hidden, float *logits, int S, int T, int K, int H, int B) {
    FOR_ALL(srn_forward_some(OF(across, (K + H) * H), OF(V, H * K), OF(out_bias, K), AT(symbols, T),
                             AT(hidden, (T + 1) * H), AT(logits, T * K), T, K, H, B, n))
}

ENTRY srn_backward(const float *across, const float *V, const int64_t *symbols, const float *hidden,
                  const float *d_logits, double *d_across, double *d_V, double *d_bias,
                  float *d_start, int S, int T, int K, int H, int B) {
    FOR_ALL(srn_backward_some(OF(across, (K + H) * H), OF(V, H * K), AT(symbols, T),
                              AT(hidden, (T + 1) * H), AT(d_logits, T * K),
                              SUMS(d_across, (K + H) * H), SUMS(d_V, H * K), SUMS(d_bias, K),
                              AT(d_start, H), T, K, H, B, n))
}

ENTRY lstm_forward(const float *across, const float *V, const float *out_bias,
                  const int64_t *symbols, float *hidden, float *cell, float *gates, float *squashed,
                  float *logits, int S, int T, int K, int H, int B) {
    FOR_ALL(lstm_forward_some(OF(across, (K + H) * 4 * H), OF(V, H * K), OF(out_bias, K),
                              AT(symbols, T), AT(hidden, (T + 1) * H), AT(cell, (T + 1) * H),
                              AT(gates, T * 4 * H), AT(squashed, T * H), AT(logits, T * K), T, K, H,
                              B, n))
}

ENTRY lstm_backward(const float *across, const float *V, const int64_t *symbols, const float *hidden,
                   const float *cell, const float *gates, const float *squashed,
                   const float *d_logits, double *d_across, double *d_V, double *d_bias,
                   float *d_start, float *d_cell, int S, int T, int K, int H, int B) {
    FOR_ALL(lstm_backward_some(OF(across, (K + H) * 4 * H), OF(V, H * K), AT(symbols, T),
                               AT(hidden, (T + 1) * H), AT(cell, (T + 1) * H),
                               AT(gates, T * 4 * H), AT(squashed, T * H), AT(d_logits, T * K),
                               SUMS(d_across, (K + H) * 4 * H), SUMS(d_V, H * K), SUMS(d_bias, K),
                               AT(d_start, H), AT(d_cell, H), T, K, H, B, n))
}
