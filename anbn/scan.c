/* The recurrence of models.py over time and the loss of loss.py, with their gradients, compiled by
   compiled.py.

   S networks, B sequences, T steps, K symbols, H hidden units; G = H (SRN) or 4H (LSTM) columns of
   pre-activations, R = K + H rows of weights. Every array is contiguous, its axes in the order
   given. The outermost loops take one network and LANES sequences through all their steps; `lanes`
   is a vector register with one number for each of them (an extension of C by GCC and Clang). */

#include <stdint.h>
#include <string.h>

#ifdef __clang__
const char *const COMPILER = "clang " __clang_version__;
#else
const char *const COMPILER = "gcc " __VERSION__;
#endif

#define LANES 8
typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t whole __attribute__((vector_size(4 * LANES)));
#define INLINE static inline __attribute__((always_inline))
#define ZERO ((lanes){0})
#define CLEAR(array) memset(array, 0, sizeof array)

INLINE lanes choose(whole yes, lanes one, lanes other) {
    return (lanes)((yes & (whole)one) | (~yes & (whole)other));
}

INLINE lanes all(float value) { return value - ZERO; }

/* e^x - 1 = (series + 1) * power - 1 without the loss of digits near 0: x = m ln 2 + r with
   |r| <= ln 2 / 2, power = 2^m, series = e^r - 1. A NaN stays one. */
INLINE lanes exp_series(lanes x, lanes *power) {
    x = choose(x > 88.0f, all(88.0f), x);
    x = choose(x < -87.0f, all(-87.0f), x);
    lanes m = (x * 1.44269504f + 12582912.0f) - 12582912.0f; /* to the nearest whole number */
    lanes r = (x - m * 0.693359375f) + m * 2.12194440e-4f;   /* ln 2 in two parts */
    lanes series = r * (1.0f / 5040) + 1.0f / 720;
    series = series * r + 1.0f / 120;
    series = series * r + 1.0f / 24;
    series = series * r + 1.0f / 6;
    series = series * r + 0.5f;
    *power = (lanes)((__builtin_convertvector(m, whole) + 127) << 23);
    return series * r * r + r;
}

INLINE lanes exp_of(lanes x) {
    lanes power, series = exp_series(x, &power);
    return power * series + power;
}

INLINE lanes exp_minus_1(lanes x) {
    lanes power, series = exp_series(x, &power);
    return power * series + (power - 1.0f);
}

INLINE lanes sigmoid(lanes x) {
    lanes s = 1.0f / (2.0f + exp_minus_1(-x));
    return choose(x < -88.0f, ZERO, s); /* a shut gate lets nothing at all through */
}

INLINE lanes tanh_of(lanes x) {
    x = choose(x > 9.5f, all(9.5f), x); /* beyond, 1 in single precision */
    x = choose(x < -9.5f, all(-9.5f), x);
    lanes e = exp_minus_1(2.0f * x);
    return e / (e + 2.0f);
}

/* The logarithm of x >= 1: x = 2^m f with f within sqrt(1/2)..sqrt(2), log f = 2 artanh(z). */
INLINE lanes log_of(lanes x) {
    whole m = ((whole)x - 0x3f3504f3) >> 23;
    lanes f = (lanes)((whole)x - (m << 23));
    lanes z = (f - 1.0f) / (f + 1.0f), square = z * z;
    lanes series = square * (1.0f / 9) + 1.0f / 7;
    series = series * square + 1.0f / 5;
    series = series * square + 1.0f / 3;
    series = (series * square + 1.0f) * 2.0f * z;
    return __builtin_convertvector(m, lanes) * 0.693147181f + series + (x - x); /* NaN stays */
}

/* The symbols of n sequences, `apart` from each other, as columns of a 1 among zeros. */
INLINE void one_hot(lanes *on, const uint8_t *symbols, long apart, int K, int n) {
    whole symbol;
    for (int b = 0; b < LANES; b++) symbol[b] = b < n ? symbols[b * apart] : -1;
    for (int k = 0; k < K; k++) on[k] = choose(symbol == k, all(1.0f), ZERO);
}

/* n numbers 0 or 1, `apart` from each other; 0 beyond. */
INLINE lanes flags(const uint8_t *values, long apart, int n) {
    lanes x;
    for (int b = 0; b < LANES; b++) x[b] = b < n ? values[b * apart] : 0;
    return x;
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
        for (int b = 0; b < LANES; b++) sums[r] += apart[r][b];
}

/* What the steps of LANES sequences leave for the backward pass; hidden and cell hold the start
   before the first step. logits become the gradient with respect to them. */
typedef struct {
    lanes *hidden, *cell;                /* (T + 1, H) */
    lanes *gates, *tanh_cell, *logits;   /* (T, G), (T, H), (T, K) */
} steps;

INLINE steps steps_in(lanes *scratch, int T, int H, int G) {
    steps m = {.hidden = scratch, .cell = scratch + (T + 1) * (long)H};
    m.gates = m.cell + (T + 1) * (long)H;
    m.tanh_cell = m.gates + T * (long)G;
    m.logits = m.tanh_cell + T * (long)H;
    return m;
}

/* Network s's parameters lie one after another as in models.py: H0 (SRN), W, U, hid_bias, V,
   out_bias. Its weights with the biases in the rows of the symbols, of which exactly one is on:
   weights (R, G) = gain * [W + hid_bias; U]. */
INLINE void prepare(float *weights, const float *W, const float *gain, int K, int R, int G) {
    const float *bias = W + R * G;
    for (int c = 0; c < R; c++)
        for (int r = 0; r < G; r++)
            weights[c * G + r] = gain[r] * (W[c * G + r] + (c < K ? bias[r] : 0.0f));
}

INLINE void read_some(int lstm, const float *weights, const float *V, const uint8_t *symbols,
                      long apart, steps m, int T, int K, int H, int n) {
    const int G = lstm ? 4 * H : H;
    const float *out_bias = V + H * K;
    lanes on[K];
    for (int t = 0; t < T; t++) {
        lanes *h = m.hidden + t * (long)H, *next = h + H;
        lanes *rows = lstm ? m.gates + t * (long)G : next;
        one_hot(on, symbols + t, apart, K, n);
        for (int r = 0; r < G; r++) rows[r] = ZERO;
        forward(rows, weights, on, K, G);
        forward(rows, weights + K * G, h, H, G);
        if (lstm) {
            lanes *c = m.cell + t * (long)H, *tanh_cell = m.tanh_cell + t * (long)H;
            for (int j = 0; j < H; j++) {
                lanes i = rows[j] = sigmoid(rows[j]);
                lanes f = rows[H + j] = sigmoid(rows[H + j]);
                lanes g = rows[2 * H + j] = tanh_of(rows[2 * H + j]);
                lanes o = rows[3 * H + j] = sigmoid(rows[3 * H + j]);
                c[H + j] = f * c[j] + i * g;
                tanh_cell[j] = tanh_of(c[H + j]);
                next[j] = o * tanh_cell[j];
            }
        } else {
            for (int j = 0; j < H; j++) next[j] = tanh_of(rows[j]);
        }
        lanes *logits = m.logits + t * (long)K;
        for (int k = 0; k < K; k++) logits[k] = all(out_bias[k]);
        forward(logits, V, next, H, K);
    }
}

/* The sums over steps of the weighted loss, its weights, the cross-entropy and the steps, into
   sums[4]; logits become the gradient of the first. */
INLINE void loss_some(const uint8_t *symbols, const uint8_t *valid, const uint8_t *deterministic,
                      long apart, float stochastic_weight, const float *mean, steps m,
                      double *sums, int T, int K, int n) {
    lanes was[K], on[K], e[K], totals[4] = {ZERO, ZERO, ZERO, ZERO};
    for (int t = 0; t < T; t++) {
        lanes *logits = m.logits + t * (long)K;
        lanes most = logits[0], sum = ZERO, target = ZERO, learned = ZERO;
        lanes here = flags(valid + t, apart, n), certain = flags(deterministic + t, apart, n);
        one_hot(was, symbols + t, apart + 1, K, n);
        one_hot(on, symbols + t + 1, apart + 1, K, n);
        for (int k = 1; k < K; k++) most = choose(logits[k] > most, logits[k], most);
        for (int k = 0; k < K; k++) sum += e[k] = exp_of(logits[k] - most);
        lanes weight = here * (stochastic_weight + (1.0f - stochastic_weight) * certain);
        for (int k = 0; k < K; k++) {
            lanes aim = on[k];
            if (mean) {
                lanes usual = ZERO;
                for (int j = 0; j < K; j++) usual += was[j] * mean[j * K + k];
                aim = choose(certain > 0.0f, aim, usual);
            }
            target += on[k] * logits[k];
            learned += aim * logits[k];
            logits[k] = weight * (e[k] / sum - aim);
        }
        lanes log_sum = most + log_of(sum);
        totals[0] += weight * (log_sum - learned);
        totals[1] += weight;
        totals[2] += here * (log_sum - target);
        totals[3] += here;
    }
    add_lanes(sums, totals, 4);
}

/* Adds to the gradients: d_weights (R, G), d_V (H + 1, K) with out_bias as its last row, and
   d_start (H) of the hidden units before the first step. d_states (n, d_apart): the gradient with
   respect to the hidden units, or an LSTM's cells, (T + 1, H) before and after each step, or null. */
INLINE void backward_some(int lstm, const float *weights, const float *V,
                          const uint8_t *symbols, long apart, steps m, const float *d_states,
                          long d_apart, double *d_weights, double *d_V, double *d_start, int T,
                          int K, int H, int n) {
    const int G = lstm ? 4 * H : H, R = K + H;
    lanes on[K], d_rows[G], d_hidden[H], d_cell[H], sums[R * G], sums_V[(H + 1) * K];
    CLEAR(sums), CLEAR(sums_V), CLEAR(d_hidden), CLEAR(d_cell);
    for (int t = T;;) {
        for (int b = 0; d_states && b < n; b++)
            for (int j = 0; j < H; j++)
                (lstm ? d_cell : d_hidden)[j][b] += d_states[b * d_apart + t * (long)H + j];
        if (!t--) break;
        const lanes *before = m.hidden + t * (long)H, *h = before + H;
        const lanes *d_logits = m.logits + t * (long)K;
        backward(d_hidden, V, d_logits, H, K);
        outer(sums_V, h, d_logits, H, K);
        for (int k = 0; k < K; k++) sums_V[H * K + k] += d_logits[k];
        if (lstm) {
            const lanes *rows = m.gates + t * (long)G, *tanh_cell = m.tanh_cell + t * (long)H;
            const lanes *c_before = m.cell + t * (long)H;
            for (int j = 0; j < H; j++) {
                lanes i = rows[j], f = rows[H + j], g = rows[2 * H + j], o = rows[3 * H + j];
                lanes c = tanh_cell[j], d = d_cell[j] + d_hidden[j] * o * (1.0f - c * c);
                d_rows[j] = d * g * i * (1.0f - i);
                d_rows[H + j] = d * c_before[j] * f * (1.0f - f);
                d_rows[2 * H + j] = d * i * (1.0f - g * g);
                d_rows[3 * H + j] = d_hidden[j] * c * o * (1.0f - o);
                d_cell[j] = d * f;
            }
        } else {
            for (int j = 0; j < H; j++) d_rows[j] = d_hidden[j] * (1.0f - h[j] * h[j]);
        }
        one_hot(on, symbols + t, apart, K, n);
        outer(sums, on, d_rows, K, G);
        outer(sums + K * G, before, d_rows, H, G);
        CLEAR(d_hidden);
        backward(d_hidden, weights + K * G, d_rows, H, G);
    }
    add_lanes(d_weights, sums, R * G);
    add_lanes(d_V, sums_V, (H + 1) * K);
    add_lanes(d_start, d_hidden, H);
}

/* values (n, count) of n sequences, 0 beyond */
INLINE void get(lanes *some, const float *values, int count, int n) {
    for (int c = 0; c < count; c++)
        for (int b = 0; b < LANES; b++) some[c][b] = b < n ? values[b * count + c] : 0;
}

/* and back */
INLINE void put(float *values, const lanes *some, long count, int n) {
    for (int b = 0; b < n; b++)
        for (long c = 0; c < count; c++) values[b * count + c] = some[c][b];
}

/* Steps after which no sequence of the n is valid are not read. */
INLINE int last_step(const uint8_t *valid, int T, int n) {
    int last = 0;
    for (int b = 0; b < n; b++)
        for (int t = T; t > last; t--)
            if (valid[b * (long)T + t - 1]) last = t;
    return last;
}

/* The losses (2, S), weighted and plain, and the gradients (S, P) of a batch: parameters (S, P),
   gain (G), symbols (S, B, T + 1), valid and deterministic (S, B, T); mean (K, K), what steps that
   are not certain learn after each symbol, or null for the symbol that follows. With d_states
   (S, B, T + 1, H), a gradient with respect to the hidden units, or an LSTM's cells, from the start
   on, in place of any loss, the gradients are what follows from that. scratch: room for steps_in. */
void scan_train(int lstm, const float *parameters, const float *gain, const uint8_t *symbols,
                const uint8_t *valid, const uint8_t *deterministic, float stochastic_weight,
                const float *mean, const float *d_states, float *gradients, double *losses,
                lanes *scratch, int S, int T, int K, int H, int B) {
    const int G = lstm ? 4 * H : H, R = K + H, start = lstm ? 0 : H;
    const int P = start + (R + 1) * G + (H + 1) * K;
    float weights[R * G];
    double d_weights[R * G], d_V[(H + 1) * K], d_start[H], sums[4];
    for (int s = 0; s < S; s++, parameters += P, gradients += P) {
        const float *V = parameters + start + (R + 1) * G;
        prepare(weights, parameters + start, gain, K, R, G);
        CLEAR(d_weights), CLEAR(d_V), CLEAR(d_start), CLEAR(sums);
        lanes first[H];
        for (int j = 0; j < H; j++) first[j] = lstm ? ZERO : tanh_of(all(parameters[j]));
        for (int b = 0; b < B; b += LANES) {
            const int n = B - b < LANES ? B - b : LANES;
            const long at = s * (long)B + b;
            const uint8_t *read = symbols + at * (T + 1), *here = valid + at * T;
            const int last = last_step(here, T, n);
            const long d_apart = (T + 1) * (long)H;
            steps m = steps_in(scratch, T, H, G);
            for (int j = 0; j < H; j++) m.hidden[j] = first[j], m.cell[j] = ZERO;
            read_some(lstm, weights, V, read, T + 1, m, last, K, H, n);
            if (d_states) {
                memset(m.logits, 0, last * (long)K * sizeof *m.logits);
                sums[1] = 1;
            } else {
                loss_some(read, here, deterministic + at * T, T, stochastic_weight, mean, m, sums,
                          last, K, n);
            }
            backward_some(lstm, weights, V, read, T + 1, m, d_states ? d_states + at * d_apart : 0,
                          d_apart, d_weights, d_V, d_start, last, K, H, n);
        }
        losses[s] = sums[0] / sums[1], losses[S + s] = sums[2] / sums[3];
        float *to = gradients;
        for (int j = 0; j < start; j++, to++)
            *to = d_start[j] * (1 - first[j][0] * first[j][0]) / sums[1];
        for (int c = 0; c < R * G; c++) *to++ = gain[c % G] * d_weights[c] / sums[1];
        for (int r = 0; r < G; r++) {
            double sum = 0;
            for (int k = 0; k < K; k++) sum += d_weights[k * G + r];
            *to++ = gain[r] * sum / sums[1];
        }
        for (int k = 0; k < (H + 1) * K; k++) *to++ = d_V[k] / sums[1];
    }
}

/* logits (S, B, T, K), hidden and cell (S, B, T, H) and gates (S, B, T, G) of symbols (S, B, T), or
   (B, T) shared by all, from a start (S, B, H). */
void scan_read(int lstm, const float *parameters, const float *gain, const uint8_t *symbols,
               int shared, const float *start_hidden, const float *start_cell, float *logits,
               float *hidden, float *cell, float *gates, lanes *scratch, int S, int T, int K,
               int H, int B) {
    const int G = lstm ? 4 * H : H, R = K + H, start = lstm ? 0 : H;
    const int P = start + (R + 1) * G + (H + 1) * K;
    float weights[R * G];
    for (int s = 0; s < S; s++, parameters += P) {
        prepare(weights, parameters + start, gain, K, R, G);
        for (int b = 0; b < B; b += LANES) {
            const int n = B - b < LANES ? B - b : LANES;
            steps m = steps_in(scratch, T, H, G);
            const long at = s * (long)B + b;
            get(m.hidden, start_hidden + at * H, H, n);
            if (lstm) get(m.cell, start_cell + at * H, H, n);
            const uint8_t *read = symbols + (shared ? b : at) * T;
            read_some(lstm, weights, parameters + start + (R + 1) * G, read, T, m, T, K, H, n);
            put(logits + at * T * K, m.logits, T * (long)K, n);
            put(hidden + at * T * H, m.hidden + H, T * (long)H, n);
            if (lstm) put(cell + at * T * H, m.cell + H, T * (long)H, n);
            if (lstm) put(gates + at * T * G, m.gates, T * (long)G, n);
        }
    }
}
