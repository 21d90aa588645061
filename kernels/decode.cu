// All layers of one token in one launch (sm_90): a block a multiprocessor that stays, weights that flow without a pause.
//
// Formulas are those of gemv.cu (two bits, one scale a part), attend.cu and embed.cu; the head follows in a launch of its own.
// Geometry: one block of 16 warps a multiprocessor, all of which must come to run (decode.rs: Turn). A block has a fixed run of strips of
//   every matrix, and one split of one KV head's context; of these, each of its warps has a run of tiles, and every
//   sixteenth chunk of 16 positions. A warp streams its own bytes of all layers (weights, keys, values, in the order of their
//   use) through a ring of its own in shared memory, with bulk copies: where it has used a slot, it asks for what comes 12 KiB
//   on. Weights depend on nothing, so rings are full again when blocks have waited for each other; and so that the memory
//   has something to do while they wait on, what comes after the ring is on its way to the L2.
// A layer is four products (qkv; output; gate and up; down), by the same instructions, which so stay in the instruction cache,
//   and attention after the first. Results go from block to block through the L2.
// Handing on: there is no barrier and no flag. Between uses every number of a result is NOTHING, one NaN that no computation
//   gives; whoever needs it reads until it is there. Who wrote a number writes NOTHING over it as soon as what it has seen
//   proves that all have read it (every block has a share of every matrix, so a later phase's whole result is proof that every
//   block has used the phases before), and fences that before its next result but one, which is what those need who will look
//   at these numbers again. At the start all is NOTHING, behind a barrier.
// Products are of bits, on tensor cores that count ones which meet ones: a tile as it lies is 16 rows × 256 bits, 128 columns of
//   two. B's column n is bit n of the quantized row, where A has a code's lower bits; in a second product, where it has the
//   upper ones. So nothing is unpacked but a word of the row: Σ code·q = Σ_n ±2^n (Σ lower·q_n + 2 Σ upper·q_n), bit 7 being
//   the negative one.
// Attention: keys and values are fp16 (int8 is exact there), queries and weights two fp16 numbers each, a high and a low one, in
//   different columns; sums are f32.
// Reduction order: integer sums are exact, in any order. Sums of squares: a thread's columns, butterfly, warps in order.
//   Attention: a warp's chunks in order; warps w and w+8, then warps in order; splits in order.
#include "blocks.cuh"
#include "decode_attend.cuh"

#define ROW_FOURS (AREA_BYTES / 4 / THREADS)  // float4s of the widest row that a thread holds
#define MAX_NORM_FOURS 4
#define SHORT_FOURS 2

// The row's bits as the products take them. A warp has the 128 columns of a tile, lane 8j + 4u + c the bytes b of columns
// 32j + 16u + 4c + b; then lane 4n + c has bit n of all those of c, in bits 8b + 2j + u: eight bits of eight lanes change places.
__device__ __forceinline__ u32 bits_of(u32 q) {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int k = 0; k < 3; k++) {
        const u32 low = k == 0 ? 0x55555555u : k == 1 ? 0x33333333u : 0x0f0f0f0fu;
        const bool upper = lane >> (2 + k) & 1;
        const u32 other = __shfl_xor_sync(~0u, q, 4 << k), moved = __funnelshift_l(other, other, upper ? 32 - (1 << k) : 1 << k);
        const u32 keep = upper ? ~low : low;
        q = (q & keep) | (moved & ~keep);
    }
    return q;
}

// A row of floats to int8 in `area`, normed where there is a weight, by all blocks alike, as soon as it is there; returns its scale.
// FOURS: pieces of four columns that a thread may have.
template <int FOURS> __device__ __forceinline__ float quantize_fours(const float* row, const float* norm, float eps, const Shape& of, u32* area, State& s) {
    constexpr int NORM_FOURS = FOURS < MAX_NORM_FOURS ? FOURS : MAX_NORM_FOURS;
    const int tid = threadIdx.x, warp = tid >> 5, lane = tid & 31, fours = of.cols / 4;
    // What this block has forgotten comes before what it will put. A thread without a result of its own waits for that.
    if (tid == THREADS - 1) asm volatile("fence.acq_rel.gpu;" ::: "memory");
    float4 w[NORM_FOURS], v[FOURS];
#pragma unroll
    for (int i = 0; i < NORM_FOURS; i++)
        w[i] = norm && i * THREADS + tid < fours ? __ldg((const float4*)norm + i * THREADS + tid) : make_float4(0, 0, 0, 0);
    // Of a long row one piece until it is there: most likely the others then are, too. Two are asked for together.
    const float4* from = (const float4*)row + tid;
    const float nothing = __uint_as_float(NOTHING);
#pragma unroll
    for (int i = 0; i < FOURS; i++) v[i] = i * THREADS + tid < fours ? make_float4(nothing, nothing, nothing, nothing) : make_float4(0, 0, 0, 0);
    if (FOURS > SHORT_FOURS && tid < fours) v[0] = take(from);
    bool whole;
    u32 tries = 0;
    do {
        whole = true;
#pragma unroll
        for (int i = FOURS > SHORT_FOURS; i < FOURS; i++)
            if (i * THREADS < fours && missing(v[i])) { v[i] = peek(from + i * THREADS); whole = false; }
        if (++tries == 1u << 26) __trap();
    } while (!whole);
    if (norm) {
        double square = 0;
#pragma unroll
        for (int i = 0; i < NORM_FOURS; i++)
            if (i * THREADS < fours) {
                square = fma((double)v[i].x, (double)v[i].x, square);
                square = fma((double)v[i].y, (double)v[i].y, square);
                square = fma((double)v[i].z, (double)v[i].z, square);
                square = fma((double)v[i].w, (double)v[i].w, square);
            }
        square = warp_sum(square);
        if (lane == 0) s.square[warp] = square;
        __syncthreads();
        double part[4] = {0, 0, 0, 0};
#pragma unroll
        for (int i = 0; i < WARPS; i++) part[i & 3] += s.square[i];
        double m = ((part[0] + part[1]) + (part[2] + part[3])) * s.part_of_width + (double)eps;
        double y = (double)rsqrtf((float)m);
        y = y * (1.5 - 0.5 * m * y * y);
        const float r = (float)(y * (1.5 - 0.5 * m * y * y));
#pragma unroll
        for (int i = 0; i < NORM_FOURS; i++)
            if (i * THREADS + tid < fours) v[i] = make_float4(v[i].x * r * w[i].x, v[i].y * r * w[i].y, v[i].z * r * w[i].z, v[i].w * r * w[i].w);
    }
    float most = MIN_ABSMAX;
#pragma unroll
    for (int i = 0; i < FOURS; i++)
        if (i * THREADS < fours) most = fmaxf(most, absmax4(v[i]));
    most = max_of(most);
    if (lane == 0) s.most[warp] = most;
    __syncthreads();
    most = max_of(s.most[lane & (WARPS - 1)]);
    const float by = 127.0f / most;
    int sum = 0;
#pragma unroll
    for (int i = 0; i < FOURS; i++) {
        const int at = i * THREADS + tid;
        if (i * THREADS < of.tiles * 32 && at < of.tiles * 32) {
            const u32 q = quantize4(v[i], by);
            sum = __dp4a((int)q, 0x01010101, sum);
            area[at] = bits_of(q);
        }
    }
    sum = __reduce_add_sync(~0u, sum);
    if (lane == 0) s.sum[warp] = sum;
    __syncthreads();
    return most / 127.0f;
}

__device__ __forceinline__ float quantize_row(const float* row, const float* norm, float eps, const Shape& of, u32* area, State& s) {
    if (of.cols <= SHORT_FOURS * THREADS * 4 && of.tiles * 32 <= SHORT_FOURS * THREADS) return quantize_fours<SHORT_FOURS>(row, norm, eps, of, area, s);
    return quantize_fours<ROW_FOURS>(row, norm, eps, of, area, s);
}

// Σ code·q of this warp's tiles into s.red.
template <class F> __device__ __forceinline__ void multiply(int of, int tiles, const u32* area, State& s, F& feed) {
    const int lane = threadIdx.x & 31, g = lane >> 2, c = lane & 3;
    const Tiles mine = s.tiles[of][feed.warp];
    const u32 xs = kept(area + lane);
    int* red = s.red + mine.strip * 16 + (c & 1) * 8 + g;
    int t = mine.tile;
    // Products with the codes' lower and upper bits; this lane has bits 2c and 2c+1 of the row, rows g and g+8.
    int lower[4], upper[4];
    auto clear = [&] {
#pragma unroll
        for (int i = 0; i < 4; i++) lower[i] = upper[i] = 0;
    };
    clear();
    const int second = c == 3 ? -2 : 2;
    auto flush = [&] {
        const int low = (lower[0] + 2 * upper[0] + second * (lower[1] + 2 * upper[1])) << (2 * c);
        const int high = (lower[2] + 2 * upper[2] + second * (lower[3] + 2 * upper[3])) << (2 * c);
        int keep = c & 1 ? high : low;
        keep += __shfl_xor_sync(~0u, c & 1 ? low : high, 1);
        keep += __shfl_xor_sync(~0u, keep, 2);
        if (c < 2) atomicAdd(red, keep);
        red += 16;
        clear();
    };
    auto product = [&](const uint4& w, u32 b) {
        const u32 even = b & 0x55555555, odd = b >> 1 & 0x55555555;
        mma_bits(lower, w, even, odd);
        mma_bits(upper, w, even << 1, b & 0xaaaaaaaa);
    };
    for (int left = mine.count; left > 0; left -= SLOT_TILES) {
        const bool whole = min(left, tiles - t) >= SLOT_TILES;  // a slot within a strip
        const u32 from = feed.wait() + lane * 16;
        uint4 w[SLOT_TILES];
        u32 b[SLOT_TILES];
#pragma unroll
        for (int k = 0; k < SLOT_TILES; k++) w[k] = shared4(from + k * 512);
        if (whole) {
#pragma unroll
            for (int k = 0; k < SLOT_TILES; k++) b[k] = shared1(xs + t * 128 + k * 128);
        } else {
            int at = t;
#pragma unroll
            for (int k = 0; k < SLOT_TILES; k++) {
                b[k] = shared1(xs + at * 128);
                if (++at == tiles) at = 0;
            }
        }
        // All is in registers: what comes next may come.
        feed.used();
        if (whole) {
#pragma unroll
            for (int k = 0; k < SLOT_TILES; k++) product(w[k], b[k]);
            t += SLOT_TILES;
        } else {
#pragma unroll
            for (int k = 0; k < SLOT_TILES; k++) {
                if (k) {
                    if (k >= left) break;
                    if (t == tiles) { t = 0; flush(); }
                }
                product(w[k], b[k]);
                t++;
            }
        }
        if (t == tiles) { t = 0; flush(); }
    }
    if (t) flush();
}

// The row of a matrix's output that this thread has (of gate and up: the pair), or -1.
__device__ __forceinline__ int own_row(const Run& r, int rows_of_strip, int rows) {
    const int out = r.base * rows_of_strip + threadIdx.x;
    return threadIdx.x < r.mine * rows_of_strip && out < rows ? out : -1;
}

// This thread's row: stored, or added to the residual stream; of gate and up the pair.
// `total` is the sum of the quantized row.
__device__ __forceinline__ void finish(const DecodeArgs& a, int of, const float* scale, float x_scale, int total, float& residual, State& s) {
    const Run r = s.run[of];
    const bool pair = of == GATE_UP;
    const int out = own_row(r, pair ? 8 : 16, pair ? a.half : s.of[of].rows);
    const int at = pair ? (threadIdx.x >> 3) * 16 + (threadIdx.x & 7) : threadIdx.x;
    if ((int)threadIdx.x >= r.mine * (pair ? 8 : 16)) return;
    const float dot = (float)(s.red[at] - total);
    s.red[at] = 0;
    if (pair) {
        const float gate = dot * (scale[4] * x_scale), up = (float)(s.red[at + 8] - total) * (scale[5] * x_scale);
        s.red[at + 8] = 0;
        if (out >= 0) put(a.hidden + out, gate / (1.0f + expf(-gate)) * up);
    } else if (out >= 0) {
        const float by = of == QKV ? out < a.end0 ? scale[0] : out < a.end1 ? scale[1] : scale[2] : of == OUT ? scale[3] : scale[6];
        const float v = dot * (by * x_scale);
        if (of == QKV) put(a.qkv + out, v);
        else put((of == OUT ? a.between : a.x) + out, residual = residual + v);
    }
}

// The embedding's row as weight_at takes it, of which the blocks with columns [from, from + n) are now in `scratch`: a thread
// a word, since reads of host memory are dear by their number.
__device__ __forceinline__ const u8* own_columns(const DecodeArgs& a, int n, int from, u8* scratch) {
    const int cols = block_cols(a.type), bytes = block_bytes(a.type);
    const int first = from / cols * bytes & ~3, end = (from + n + cols - 1) / cols * bytes;
    for (int i = first + threadIdx.x * 4; i < end; i += THREADS * 4) *(u32*)(scratch + i - first) = *(const volatile u32*)(a.row + i);
    __syncthreads();
    return scratch - first;
}

template <int HD, bool INT8> __device__ __forceinline__ void decode(const DecodeArgs& a) {
    extern __shared__ __align__(128) u8 rings[];
    __shared__ State s;
    u8 *area = rings + WARPS * RING_BYTES, *scratch = area + AREA_BYTES;
    const int tid = threadIdx.x;
    if (tid == 0) {
        s.span = span_of(a, a.position);
        s.part_of_width = 1.0 / (double)a.width;
    }
    for (int i = tid; i < a.layers * (int)(sizeof(Layer) / 8); i += blockDim.x) ((u64*)s.layer)[i] = __ldg((const u64*)a.layer + i);
    if (tid < MAX_STRIPS * 16) s.red[tid] = 0;
    if (tid < 4) {
        s.of[tid] = a.shapes[tid];
        s.run[tid] = run_of(s.of[tid].strips);
    }
    __syncthreads();
    if (tid < 4 * WARPS) {
        const int of = tid / WARPS, warp = tid % WARPS, tiles = s.of[of].tiles, total = s.run[of].mine * tiles;
        const int from = total * warp / WARPS, strip = from / tiles;
        s.tiles[of][warp] = {strip, from - strip * tiles, total * (warp + 1) / WARPS - from, (u32)(s.run[of].base * tiles + from) * 512};
    }
    if (tid < a.pairs) s.rope[tid] = a.rope[(size_t)a.position * a.pairs + tid];
    if (tid == 0) {
        if (blockIdx.x == 0) *a.best = 0;
        // x has the rows of the output and of the down matrix: a block has the same ones throughout.
        const Run* r = s.run;
        const Span& p = s.span;
        const int rows = min(r[OUT].mine * 16, s.of[OUT].rows - r[OUT].base * 16), head = a.heads / a.kv_heads * HD;
        s.part[X] = {a.x + r[OUT].base * 16, rows};
        s.part[BETWEEN] = {a.between + r[OUT].base * 16, rows};
        s.part[QKV_ROWS] = {a.qkv + r[QKV].base * 16, min(r[QKV].mine * 16, s.of[QKV].rows - r[QKV].base * 16)};
        s.part[HIDDEN] = {a.hidden + r[GATE_UP].base * 8, min(r[GATE_UP].mine * 8, a.half - r[GATE_UP].base * 8)};
        s.part[ATTENDED] = {a.attended + p.kv * head, p.live && p.split == 0 ? head : 0};
        s.part[PARTIAL] = {a.partial + (p.kv * a.splits + p.split) * GROUP_HEADS * (HD + 2), p.live && p.split ? GROUP_HEADS * (HD + 2) : 0};
    }
    __syncthreads();
    Feed<HD, INT8> feed(a, s, rings);
    float residual = 0;  // of this thread's row of x
    const int own = own_row(s.run[OUT], 16, s.of[OUT].rows);
    for (int i = BETWEEN; i < RESULTS; i++) forget(s.part[i]);
    const u8* row = own_columns(a, s.part[X].n, s.run[OUT].base * 16, scratch);
    if (own >= 0) put(a.x + own, residual = weight_at(row, a.type, own));
    all_blocks(a.barrier);

    const float* norm = a.norms;
#pragma unroll 1
    for (int i = 0; i < 4 * a.layers; i++) {
        const int of = i & 3, layer = i >> 2;
        const bool normed = of == QKV || of == GATE_UP;
        const float* row = of == QKV ? a.x : of == OUT ? a.attended : of == GATE_UP ? a.between : a.hidden;
        const float by = quantize_row(row, normed ? norm : nullptr, a.eps, s.of[of], (u32*)area, s);
        if (normed) norm += s.of[QKV].cols;
        // The row is whole: all have read what it was made of.
        if (of == QKV && layer) forget(s.part[HIDDEN]);
        if (of == OUT) { forget(s.part[X]); forget(s.part[QKV_ROWS]); forget(s.part[PARTIAL]); }
        if (of == GATE_UP) forget(s.part[ATTENDED]);
        if (of == DOWN) forget(s.part[BETWEEN]);
        multiply(of, s.of[of].tiles, (const u32*)area, s, feed);
        if (i + 1 == 4 * a.layers) pdl_launch();
        const int total = __reduce_add_sync(~0u, tid & 16 ? 0 : s.sum[tid & 15]);
        __syncthreads();
        finish(a, of, s.layer[layer].scale, by, total, residual, s);
        if (of == QKV && s.span.live) attend<HD, INT8>(a, layer, area, scratch, s, feed);
    }
    // The last block to leave clears the barrier: nobody looks at it any more.
    if (tid == 0 && atomicAdd(a.barrier + 1, 1) == gridDim.x - 1) a.barrier[0] = a.barrier[1] = 0;
}

#define DECODE(HD)                                                                                                                   \
    extern "C" __global__ void __launch_bounds__(THREADS, 1) decode_f16_##HD(const DecodeArgs a) { decode<HD, false>(a); }      \
    extern "C" __global__ void __launch_bounds__(THREADS, 1) decode_i8_##HD(const DecodeArgs a) { decode<HD, true>(a); }
DECODE(64)
DECODE(128)
