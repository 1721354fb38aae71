/* The recurrence of models.py over time and the loss of loss.py, with their gradients, compiled by
   compiled.py.

   S networks, B sequences, T steps, K symbols, H hidden units; G = H (SRN) or 4H (LSTM) columns of
   pre-activations, R = K + H rows of weights. Every array is contiguous, its axes in the order
   given. The outermost loops take one network and LANES sequences through all their steps; `lanes`
   is a vector register with one number for each of them (an extension of C by GCC and Clang).
   LANES is given to the compiler. */

#include <stdint.h>
#include <string.h>

#ifdef __clang__
const char *const COMPILER = "clang " __clang_version__;
#else
const char *const COMPILER = "gcc " __VERSION__;
#endif

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t whole __attribute__((vector_size(4 * LANES)));
typedef uint8_t bytes __attribute__((vector_size(LANES)));
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

/* values (n, apart) of n sequences at T steps, step by step; 0 for sequences beyond */
INLINE void by_step(bytes *steps, const uint8_t *values, long apart, int T, int n) {
    memset(steps, 0, T * sizeof *steps);
    for (int b = 0; b < n; b++)
        for (int t = 0; t < T; t++) steps[t][b] = values[b * apart + t];
}

/* A symbol of each sequence as a column of a 1 among zeros. */
INLINE void one_hot(lanes *on, bytes symbols, int K) {
    whole symbol = __builtin_convertvector(symbols, whole);
    for (int k = 0; k < K; k++) on[k] = choose(symbol == k, all(1.0f), ZERO);
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
   before the first step. logits become the gradient with respect to them; d_states is one with
   respect to the hidden units, or an LSTM's cells, where there is one. */
typedef struct {
    lanes *hidden, *cell, *d_states;   /* (T + 1, H) */
    lanes *gates, *tanh_cell, *logits; /* (T, G), (T, H), (T, K) */
    bytes *symbols, *valid, *certain;  /* (T + 1) */
} steps;

/* The p-th steps in scratch, of compiled.py's size. */
INLINE steps steps_in(lanes *scratch, int p, int T, int K, int H, int G) {
    const long rows = T + 1;
    steps m = {.hidden = scratch + p * rows * (4 * H + G + K + 1)};
    m.cell = m.hidden + rows * H;
    m.d_states = m.cell + rows * H;
    m.tanh_cell = m.d_states + rows * H;
    m.gates = m.tanh_cell + rows * H;
    m.logits = m.gates + rows * G;
    m.symbols = (bytes *)(m.logits + rows * K);
    m.valid = m.symbols + rows;
    m.certain = m.valid + rows;
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

/* The start, tanh(H0) of an SRN and 0 of an LSTM, before the first step. */
INLINE void begin(int lstm, const float *H0, steps m, int H) {
    for (int j = 0; j < H; j++) {
        m.hidden[j] = lstm ? ZERO : tanh_of(all(H0[j]));
        m.cell[j] = ZERO;
    }
}

INLINE void read_some(int lstm, const float *weights, const float *V, steps m, int T, int K,
                      int H) {
    const int G = lstm ? 4 * H : H;
    const float *out_bias = V + H * K;
    lanes on[K];
    for (int t = 0; t < T; t++) {
        lanes *h = m.hidden + t * (long)H, *next = h + H;
        lanes *rows = lstm ? m.gates + t * (long)G : next;
        one_hot(on, m.symbols[t], K);
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
INLINE void loss_some(float stochastic_weight, const float *mean, steps m, double *sums, int T,
                      int K) {
    lanes was[K], on[K], e[K], totals[4] = {ZERO, ZERO, ZERO, ZERO};
    for (int t = 0; t < T; t++) {
        lanes *logits = m.logits + t * (long)K;
        lanes most = logits[0], sum = ZERO, target = ZERO, learned = ZERO;
        lanes here = __builtin_convertvector(m.valid[t], lanes);
        lanes certain = __builtin_convertvector(m.certain[t], lanes);
        one_hot(was, m.symbols[t], K);
        one_hot(on, m.symbols[t + 1], K);
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
   d_start (H) of the hidden units before the first step. d_states (T + 1, H): the gradient with
   respect to the hidden units, or an LSTM's cells, before and after each step, or null. */
INLINE void backward_some(int lstm, const float *weights, const float *V, steps m,
                          const lanes *d_states, double *d_weights, double *d_V, double *d_start,
                          int T, int K, int H) {
    const int G = lstm ? 4 * H : H, R = K + H;
    lanes on[K], d_rows[G], d_hidden[H], d_cell[H], sums[R * G], sums_V[(H + 1) * K];
    CLEAR(sums), CLEAR(sums_V), CLEAR(d_hidden), CLEAR(d_cell);
    for (int t = T;;) {
        for (int j = 0; d_states && j < H; j++)
            (lstm ? d_cell : d_hidden)[j] += d_states[t * (long)H + j];
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
        one_hot(on, m.symbols[t], K);
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

/* Steps after which no sequence is valid are not read. */
INLINE int last_step(const bytes *valid, int T) {
    for (uint64_t any; T; T--) {
        memcpy(&any, valid + T - 1, sizeof any);
        if (any) break;
    }
    return T;
}

/* A network's gradients (P), in the order of its parameters, of a loss that is `total` times too
   large; m: of sequences that begin at the start. */
INLINE void put_gradients(float *to, int lstm, const float *gain, steps m, const double *d_weights,
                          const double *d_V, const double *d_start, double total, int K, int H) {
    const int G = lstm ? 4 * H : H, R = K + H;
    for (int j = 0; !lstm && j < H; j++)
        *to++ = d_start[j] * (1 - m.hidden[j][0] * m.hidden[j][0]) / total;
    for (int c = 0; c < R * G; c++) *to++ = gain[c % G] * d_weights[c] / total;
    for (int r = 0; r < G; r++) {
        double sum = 0;
        for (int k = 0; k < K; k++) sum += d_weights[k * G + r];
        *to++ = gain[r] * sum / total;
    }
    for (int k = 0; k < (H + 1) * K; k++) *to++ = d_V[k] / total;
}

/* The losses (2, S), weighted and plain, and the gradients (S, P) of a batch: parameters (S, P),
   gain (G), symbols (S, B, T + 1), valid and deterministic (S, B, T); mean (K, K), what steps that
   are not certain learn after each symbol, or null for the symbol that follows. scratch: room for
   steps_in. */
void scan_train(int lstm, const float *parameters, const float *gain, const uint8_t *symbols,
                const uint8_t *valid, const uint8_t *deterministic, float stochastic_weight,
                const float *mean, float *gradients, double *losses, lanes *scratch, int S, int T,
                int K, int H, int B) {
    const int G = lstm ? 4 * H : H, R = K + H, start = lstm ? 0 : H;
    const int P = start + (R + 1) * G + (H + 1) * K;
    const steps m = steps_in(scratch, 0, T, K, H, G);
    float weights[R * G];
    double d_weights[R * G], d_V[(H + 1) * K], d_start[H], sums[4];
    for (int s = 0; s < S; s++, parameters += P, gradients += P) {
        const float *V = parameters + start + (R + 1) * G;
        prepare(weights, parameters + start, gain, K, R, G);
        CLEAR(d_weights), CLEAR(d_V), CLEAR(d_start), CLEAR(sums);
        for (int b = 0; b < B; b += LANES) {
            const int n = B - b < LANES ? B - b : LANES;
            const long at = s * (long)B + b;
            by_step(m.symbols, symbols + at * (T + 1), T + 1, T + 1, n);
            by_step(m.valid, valid + at * T, T, T, n);
            by_step(m.certain, deterministic + at * T, T, T, n);
            const int last = last_step(m.valid, T);
            begin(lstm, parameters, m, H);
            read_some(lstm, weights, V, m, last, K, H);
            loss_some(stochastic_weight, mean, m, sums, last, K);
            backward_some(lstm, weights, V, m, 0, d_weights, d_V, d_start, last, K, H);
        }
        losses[s] = sums[0] / sums[1], losses[S + s] = sums[2] / sums[3];
        put_gradients(gradients, lstm, gain, m, d_weights, d_V, d_start, sums[1], K, H);
    }
}

/* Makes m[].d_states of N strings the gradient of the penalty of loss.py: ends (N, M), the steps
   after which states are compared, those of whole strings, and with them the start, first. */
INLINE void compare(int lstm, const steps *m, const int32_t *ends, int T, int H, int N, int M) {
    for (int n = 0; n < N; n += LANES)
        memset(m[n / LANES].d_states, 0, (T + 1) * H * sizeof(lanes));
    for (int e = 0; e < M; e++)
        for (int j = 0; j < H; j++) {
            const lanes *states = lstm ? m->cell : m->hidden; /* of the first strings */
            const float start = states[j][0], share = 2.0f / (N + 1) / H;
            double mean = e ? 0 : start / (N + 1), shut = 1;
            for (int n = 0; n < N; n++) {
                const steps *some = m + n / LANES;
                const long at = ends[n * M + e] * (long)H + j;
                mean += (lstm ? some->cell : some->hidden)[at][n % LANES] / (e ? N : N + 1);
                if (e) shut -= some->gates[4 * (at - j) + H + j][n % LANES] / N; /* 1 - f */
            }
            for (int n = 0; n < N; n++) {
                const steps *some = m + n / LANES;
                const long at = ends[n * M + e] * (long)H + j;
                const float state = (lstm ? some->cell : some->hidden)[at][n % LANES];
                some->d_states[at][n % LANES] += share * shut * (state - mean);
            }
            if (!e) m->d_states[j][0] = share * (start - mean);
        }
}

/* The gradients (S, P) of loss.closure_gradients: symbols (N, T), the same for all networks; ends
   as above. scratch: steps for every LANES strings. */
void scan_closure(int lstm, const float *parameters, const float *gain, const uint8_t *symbols,
                const int32_t *ends, int M, float *gradients, lanes *scratch, int S, int T, int K,
                int H, int N) {
    const int G = lstm ? 4 * H : H, R = K + H, start = lstm ? 0 : H;
    const int P = start + (R + 1) * G + (H + 1) * K, parts = (N + LANES - 1) / LANES;
    float weights[R * G];
    double d_weights[R * G], d_V[(H + 1) * K], d_start[H];
    steps m[parts];
    for (int p = 0; p < parts; p++) {
        const int first = p * LANES, n = N - first < LANES ? N - first : LANES;
        m[p] = steps_in(scratch, p, T, K, H, G);
        by_step(m[p].symbols, symbols + first * (long)T, T, T, n);
    }
    for (int s = 0; s < S; s++, parameters += P, gradients += P) {
        const float *V = parameters + start + (R + 1) * G;
        prepare(weights, parameters + start, gain, K, R, G);
        CLEAR(d_weights), CLEAR(d_V), CLEAR(d_start);
        for (int p = 0; p < parts; p++) {
            begin(lstm, parameters, m[p], H);
            read_some(lstm, weights, V, m[p], T, K, H);
            memset(m[p].logits, 0, T * (long)K * sizeof(lanes)); /* no loss depends on them */
        }
        compare(lstm, m, ends, T, H, N, M);
        for (int p = 0; p < parts; p++)
            backward_some(lstm, weights, V, m[p], m[p].d_states, d_weights, d_V, d_start, T, K, H);
        put_gradients(gradients, lstm, gain, m[0], d_weights, d_V, d_start, 1, K, H);
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
            steps m = steps_in(scratch, 0, T, K, H, G);
            const long at = s * (long)B + b;
            get(m.hidden, start_hidden + at * H, H, n);
            if (lstm) get(m.cell, start_cell + at * H, H, n);
            const uint8_t *read = symbols + (shared ? b : at) * T;
            by_step(m.symbols, read, T, T, n);
            read_some(lstm, weights, parameters + start + (R + 1) * G, m, T, K, H);
            put(logits + at * T * K, m.logits, T * (long)K, n);
            put(hidden + at * T * H, m.hidden + H, T * (long)H, n);
            if (lstm) put(cell + at * T * H, m.cell + H, T * (long)H, n);
            if (lstm) put(gates + at * T * G, m.gates, T * (long)G, n);
        }
    }
}
