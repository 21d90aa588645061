// All layers of one token in one launch (sm_90): a block a multiprocessor that stays, weights that flow without a pause.
//
// Formulas and their sources are those of gemv.cu (two bits, one scale a part), attend.cu and embed.cu; the head follows in a launch of
//   its own. Products of bit planes as in arXiv:2106.12169 (APNN-TC); fragments as in PTX ISA 8.5.
// Errors: integers are those of gemv.cu; floats differ in the order of their sums (0.02 of the largest apart after a layer at most,
//   where an activation near a tie rounds the other way).
// Geometry: one block of 16 warps a multiprocessor, all of which must come to run (decode.rs: DecodeLock). A block has a fixed run of strips of
//   every matrix, and one split of one KV head's context; of these, each of its warps has a run of tiles, and every
//   sixteenth chunk of 16 positions. A warp streams its own bytes of all layers (weights, keys, values, in the order of their
//   use) through a ring of its own in shared memory, with bulk copies: where it has used a slot, it asks for what comes 12 KiB
//   on. Weights depend on nothing, so rings are full again when blocks have waited for each other; and so that the memory
//   has something to do while they wait on, what comes after the ring goes on its way to the L2 then. (More at once, or
//   while products run, and the results that are waited for queue behind it.)
// A layer is four products (qkv; output; gate and up; down), by the same instructions, which so stay in the instruction cache,
//   and attention after the first. Results go from block to block through the L2.
// Handing on: there is no barrier and no flag. Between uses every number of a result is NOTHING, one NaN that no computation
//   gives; whoever needs it reads until it is there. Layers take turns with two sets of results, and three of x. Every block has a
//   share of every matrix, so a layer's whole x is proof that every block has used all of the layer before: then its numbers
//   become NOTHING again, and that is fenced before this block's rows of the next x, which those have seen who will look at
//   these numbers for the next layer (at an x for the one after that). At the start all is NOTHING, behind a barrier.
// Products are of bits, on tensor cores that count ones which meet ones: a tile as it lies is 16 rows × 256 bits, 128 columns of
//   two. B's column n is bit n of the quantized row, where A has a code's lower bits; in a second product, where it has the
//   upper ones. So nothing is unpacked but a word of the row: Σ code·q = Σ_n ±2^n (Σ lower·q_n + 2 Σ upper·q_n), bit 7 being
//   the negative one.
// Attention: keys and values are fp16 (int8 is exact there), queries and weights two fp16 numbers each, a high and a low one, in
//   different columns; sums are f32.
// Reduction order: integer sums are exact, in any order. Sums of squares: a thread's columns, butterfly, butterfly over warps.
//   Attention: a warp's chunks in order; warps w and w+8, then warps in order; splits in order.
#include "blocks.cuh"
#include "decode_attend.cuh"

#define ROW_FOURS (AREA_BYTES / 4 / THREADS)  // float4s of the widest row that a thread holds
#define SHORT_FOURS 2

// The row's bits as the products take them. A warp has the 128 columns of a tile, lane 8j + 4u + c the bytes b of columns
// 32j + 16u + 4c + b; then lane 4n + c has bit n of all those of c, in bits 8b + 2j + u: eight bits of eight lanes change places.
__device__ __forceinline__ u32 bits_of(u32 q) {
    const int lane = thread() & 31;
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

// The sum of the warps' numbers, of which lanes i and i + 16 have the i-th.
__device__ __forceinline__ double warp_sums(double v) {
#pragma unroll
    for (int o = WARPS / 2; o; o >>= 1) v += __shfl_xor_sync(~0u, v, o);
    return v;
}

// A row of floats to int8 in `area`, normed where there is a weight, by all blocks alike, as soon as it is there; returns its largest.
// FOURS: pieces of four columns that a thread may have.
template <int FOURS> __device__ __forceinline__ float quantize_fours(const float* row, const float* norm, float eps, const Shape& of, u32* area, State& s, Ring& ring) {
    constexpr int NORM_FOURS = FOURS < MAX_NORM_FOURS ? FOURS : MAX_NORM_FOURS;
    const int tid = thread(), warp = tid >> 5, lane = tid & 31, fours = of.cols / 4;
    float4 w[NORM_FOURS], v[FOURS];
#pragma unroll
    for (int i = 0; i < NORM_FOURS; i++)
        w[i] = norm && i * THREADS + tid < fours ? __ldg((const float4*)norm + i * THREADS + tid) : make_float4(0, 0, 0, 0);
    const float4* from = (const float4*)row + tid;
    const float nothing = __uint_as_float(NOTHING);
#pragma unroll
    for (int i = 0; i < FOURS; i++) v[i] = i * THREADS + tid < fours ? make_float4(nothing, nothing, nothing, nothing) : make_float4(0, 0, 0, 0);
    // Of a long row one piece until it is there: most likely the others then are, too. Two are asked for together.
    u32 tries = 0;
    if (FOURS > SHORT_FOURS)
        while (true) {
            if (missing(v[0])) v[0] = peek(from);
            ring.idle();
            if (!__any_sync(~0u, missing(v[0]))) break;
            if (++tries == 1u << 26) __trap();
        }
    while (true) {
#pragma unroll
        for (int i = FOURS > SHORT_FOURS; i < FOURS; i++)
            if (i * THREADS < fours && missing(v[i])) v[i] = peek(from + i * THREADS);
        if (FOURS <= SHORT_FOURS) ring.idle();
        bool lacks = false;
#pragma unroll
        for (int i = FOURS > SHORT_FOURS; i < FOURS; i++) lacks |= missing(v[i]);
        if (!__any_sync(~0u, lacks)) break;
        if (++tries == 1u << 26) __trap();
    }
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
        const double m = warp_sums(s.square[lane & (WARPS - 1)]) * s.part_of_width + (double)eps;
        // A Newton step from the f32 estimate: 2^-43 off at most, of what is rounded to 2^-24 then.
        const double y = (double)rsqrtf((float)m);
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
    return most;
}

__device__ __forceinline__ float quantize_row(const float* row, const float* norm, float eps, const Shape& of, u32* area, State& s, Ring& ring) {
    if (of.cols <= SHORT_FOURS * THREADS * 4 && of.tiles * 32 <= SHORT_FOURS * THREADS) return quantize_fours<SHORT_FOURS>(row, norm, eps, of, area, s, ring);
    return quantize_fours<ROW_FOURS>(row, norm, eps, of, area, s, ring);
}

// QUAD tiles and their columns of the row, in registers.
struct Quad {
    uint4 w[QUAD];
    u32 x[QUAD];
};

// Products with the lower and the upper bits of a strip's codes: of rows g and g+8, with bits 2c and 2c+1 of the row.
struct Sums {
    int of[2][2][4];  // [upper]; every other tile has its own, so that products need not wait for each other
    __device__ __forceinline__ Sums() {
#pragma unroll
        for (int i = 0; i < 16; i++) of[i >> 3][i >> 2 & 1][i & 3] = 0;
    }
    __device__ __forceinline__ void add(const uint4& w, u32 x, int which = 0) {
        const u32 even = x & 0x55555555, odd = x & 0xaaaaaaaa;
        mma_bits(of[0][which], w, even, odd >> 1);
        mma_bits(of[1][which], w, even << 1, odd);
    }
    __device__ __forceinline__ void add(const Quad& q) {
#pragma unroll
        for (int k = 0; k < QUAD; k++) add(q.w[k], q.x[k], k & 1);
    }
    // Adds the strip's sums to `to` and begins anew.
    __device__ __forceinline__ void leave(int* to) {
        const int c = threadIdx.x & 3, g = threadIdx.x >> 2 & 7, second = c == 3 ? -2 : 2;
        auto sum = [&](int i) { return of[0][0][i] + of[0][1][i] + 2 * (of[1][0][i] + of[1][1][i]); };
        const int low = (sum(0) + second * sum(1)) << (2 * c), high = (sum(2) + second * sum(3)) << (2 * c);
        int keep = c & 1 ? high : low;
        keep += __shfl_xor_sync(~0u, c & 1 ? low : high, 1);
        keep += __shfl_xor_sync(~0u, keep, 2);
        if (c < 2) atomicAdd(to + (c & 1) * 8 + g, keep);
        *this = Sums();
    }
};

// Σ code·q of this warp's tiles into s.red.
__device__ __forceinline__ void multiply(int of, const u32* area, State& s, Ring& ring) {
    const int tid = thread(), lane = tid & 31, warp = tid >> 5;
    const Tiles& mine = s.tiles[of][warp];
    const u32 quads = uniform(mine.quads);
    int* red = s.red + mine.strip * 16;
    const u32 xs = kept(area + lane);
    Sums sums;
    if (!quads) {
        // Strips that end within a quad: a tile at a time.
        const int tiles = uniform(s.of[of].tiles);
        int t = uniform(mine.tile);
        int in = 0;
#pragma unroll 1
        for (int left = uniform(mine.count); left > 0; left--) {
            const u32 from = ring.wait() + lane * 16 + in * 512;
            sums.add(shared4(from), shared1(xs + t * 128));
            if (++in == SLOT_TILES || left == 1) { in = 0; ring.used(); }
            if (++t == tiles || left == 1) { t = 0; sums.leave(red); red += 16; }
        }
        return;
    }
    // Quads, two a slot; each is loaded while the one before it is multiplied.
    const int of_strip = quads & 0xff;
    int t = quads >> 8 & 0xff, left = quads >> 16;  // quads to the strip's end, and in all
    if (!left) return;
    const u32 x_end = xs + of_strip * (QUAD * 128);
    u32 x = x_end - t * (QUAD * 128);
    auto load = [&](Quad& q, u32 from) {
#pragma unroll
        for (int k = 0; k < QUAD; k++) q.w[k] = shared4(from + k * 512);
#pragma unroll
        for (int k = 0; k < QUAD; k++) q.x[k] = shared1(x + k * 128);
        x += QUAD * 128;
        if (x == x_end) x = xs;
    };
    auto add = [&](const Quad& q) {
        sums.add(q);
        if (--t == 0 || left == 0) { t = of_strip; sums.leave(red); red += 16; }
    };
    Quad first, second;
    u32 from = ring.wait() + lane * 16;
    load(first, from);
#pragma unroll 1
    while (true) {
        left--;
        if (left) load(second, from + QUAD * 512);
        add(first);
        ring.used();
        if (!left) break;
        left--;
        if (left) load(first, from = ring.wait() + lane * 16);
        add(second);
        if (!left) break;
    }
}

// The row of a matrix's output that this thread has (of gate and up: the pair), or -1.
__device__ __forceinline__ int own_row(const Run& r, int rows_of_strip, int rows) {
    const int out = r.base * rows_of_strip + threadIdx.x;
    return threadIdx.x < r.mine * rows_of_strip && out < rows ? out : -1;
}

// What becomes of a sum: known before sums are.
struct Outcome {
    int* sum;       // null: this thread has none
    int total;      // of the quantized row
    float by, up;   // the scale; of gate and up two
    float* to;      // null: behind the last row
};
__device__ __forceinline__ Outcome outcome(const DecodeArgs& a, int of, int layer, float most, State& s) {
    const Run r = s.run[of];
    const bool pair = of == GATE_UP;
    const int tid = thread(), out = own_row(r, pair ? 8 : 16, pair ? a.half : s.of[of].rows);
    Outcome o;
    o.total = __reduce_add_sync(~0u, tid & 16 ? 0 : s.sum[tid & 15]);
    o.sum = tid < r.mine * (pair ? 8 : 16) ? s.red + (pair ? (tid >> 3) * 16 + (tid & 7) : tid) : nullptr;
    const int which = of == QKV ? out < a.end0 ? 0 : out < a.end1 ? 1 : 2 : of == OUT ? 3 : pair ? 4 : 6;
    const float* scale = s.layer[layer].scale;
    const float x_scale = most / 127.0f;
    o.by = scale[which] * x_scale;
    o.up = scale[5] * x_scale;
    const int turn = turn_of(a, layer);
    float* row = of == QKV ? a.qkv[turn] : of == OUT ? a.between[turn] : pair ? a.hidden[turn] : a.x[x_of(a, layer + 1)];
    o.to = out < 0 ? nullptr : row + out;
    return o;
}

// This thread's row: stored, or added to the residual stream; of gate and up the pair.
__device__ __forceinline__ void finish(const Outcome& o, int of, float residual) {
    if (!o.sum) return;
    const float dot = (float)(*o.sum - o.total) * o.by;
    *o.sum = 0;
    if (of == GATE_UP) {
        const float up = (float)(o.sum[8] - o.total) * o.up;
        o.sum[8] = 0;
        if (o.to) put(o.to, dot / (1.0f + expf(-dot)) * up);
    } else if (o.to) {
        put(o.to, of == QKV ? dot : residual + dot);
    }
}

// The embedding's row as weight_at takes it, of which the blocks with columns [from, from + n) are now in `scratch`: a thread
// a word, since reads of host memory are dear by their number.
__device__ __forceinline__ const u8* own_columns(const DecodeArgs& a, int n, int from, u8* scratch) {
    const int cols = block_cols(a.ty), bytes = block_bytes(a.ty);
    const int first = from / cols * bytes & ~3, end = (from + n + cols - 1) / cols * bytes;
    for (int i = first + threadIdx.x * 4; i < end; i += THREADS * 4) *(u32*)(scratch + i - first) = *(const volatile u32*)(a.row + i);
    __syncthreads();
    return scratch - first;
}

// What the block's warps share.
template <int HD, bool INT8> __device__ __forceinline__ void begin(const DecodeArgs& a, State& s) {
    const int tid = threadIdx.x;
    if (tid == 0) {
        s.span = span_of(a, a.position);
        s.part_of_width = 1.0 / (double)a.width;
        const Span& p = s.span;
        const u32 row_bytes = HD * (INT8 ? 1 : 2);
        const size_t first = ((size_t)p.kv * a.context + p.from) * row_bytes;
        s.cache = {a.k + first, a.v + first, (size_t)a.kv_heads * a.context * row_bytes, row_bytes, a.layers, p.live ? p.cached : 0};
    }
    for (int i = tid; i < a.layers * (int)(sizeof(Layer) / 8); i += blockDim.x) ((u64*)s.layer)[i] = __ldg((const u64*)a.layer + i);
    if (tid < MAX_STRIPS * 16) s.red[tid] = 0;
    if (tid < 4) {
        s.of[tid] = a.shapes[tid];
        s.run[tid] = run_of(s.of[tid].strips);
    }
    __syncthreads();
    if (tid < 4 * WARPS) {
        const int of = tid / WARPS, warp = tid % WARPS, tiles = s.of[of].tiles, total = s.run[of].mine * tiles, quads = (total + QUAD - 1) / QUAD;
        const int from = min(total, quads * warp / WARPS * QUAD), to = min(total, quads * (warp + 1) / WARPS * QUAD), strip = from / tiles;
        const int tile = from - strip * tiles;
        const u32 in_quads = tiles % QUAD ? 0 : tiles / QUAD | (tiles - tile) / QUAD << 8 | (to - from) / QUAD << 16;
        s.tiles[of][warp] = {strip, tile, to - from, (u32)(s.run[of].base * tiles + from) * 512, in_quads};
    }
    if (tid < a.pairs) s.rope[tid] = a.rope[(size_t)a.position * a.pairs + tid];
    if (tid == 0) {
        // x has the rows of the output and of the down matrix: a block has the same ones throughout.
        const Run* r = s.run;
        const Span& p = s.span;
        const int rows = min(r[OUT].mine * 16, s.of[OUT].rows - r[OUT].base * 16), head = a.heads / a.kv_heads * HD;
        for (int i = 0; i < 3; i++) s.x[i] = {a.x[i] + r[OUT].base * 16, rows};
        for (int i = 0; i < 2; i++) {
            s.part[i][BETWEEN] = {a.between[i] + r[OUT].base * 16, rows};
            s.part[i][QKV_ROWS] = {a.qkv[i] + r[QKV].base * 16, min(r[QKV].mine * 16, s.of[QKV].rows - r[QKV].base * 16)};
            s.part[i][HIDDEN] = {a.hidden[i] + r[GATE_UP].base * 8, min(r[GATE_UP].mine * 8, a.half - r[GATE_UP].base * 8)};
            s.part[i][ATTENDED] = {a.attended[i] + p.kv * head, p.live && p.split == 0 ? head : 0};
            s.part[i][PARTIAL] = {a.partial[i] + (p.kv * a.splits + p.split) * GROUP_HEADS * (HD + 2), p.live && p.split ? GROUP_HEADS * (HD + 2) : 0};
        }
    }
    __syncthreads();
}

template <int HD, bool INT8> __device__ __forceinline__ void decode(const DecodeArgs& a) {
    extern __shared__ __align__(128) u8 rings[];
    __shared__ State s;
    begin<HD, INT8>(a, s);
    const int tid = threadIdx.x;
    u8 *area = rings + WARPS * RING_BYTES, *scratch = area + AREA_BYTES;
    Ring ring(s, rings);
    const int first = x_of(a, 0);
    for (int i = 0; i < RESULTS; i++) {
        forget(s.part[0][i], tid, THREADS);
        forget(s.part[1][i], tid, THREADS);
    }
    for (int i = 1; i < 3; i++) forget(s.x[(first + i) % 3], tid, THREADS);
    const u8* row = own_columns(a, s.x[0].n, s.run[OUT].base * 16, scratch);
    const int out = own_row(s.run[OUT], 16, s.of[OUT].rows);
    if (out >= 0) put(a.x[first] + out, weight_at(row, a.ty, out));
    all_blocks(a.barrier);

#pragma unroll 1
    for (int i = 0; i < 4 * a.layers; i++) {
        const int of = i & 3, layer = i >> 2, turn = turn_of(a, layer);
        const bool normed = of == QKV || of == GATE_UP;
        const float* row = of == QKV ? a.x[x_of(a, layer)] : of == OUT ? a.attended[turn] : of == GATE_UP ? a.between[turn] : a.hidden[turn];
        // This layer's x was whole: all have read what the layer before it put, and what that began with. While attention is
        // waited for, the last warp, which most likely has no rows of its own, makes room.
        if (of == OUT && tid >= THREADS - 32) {
            for (int k = 0; k < RESULTS; k++) forget(s.part[turn ^ 1][k], tid & 31, 32);
            if (layer) forget(s.x[x_of(a, layer - 1)], tid & 31, 32);
        }
        const float most = quantize_row(row, normed ? a.norms + (size_t)(2 * layer + (of == GATE_UP)) * a.width : nullptr, a.eps, s.of[of], (u32*)area, s, ring);
        // Its own row of what the product is added to, which this thread has put there.
        float residual = 0;
        if (!normed) {
            const int out = own_row(s.run[of], 16, s.of[of].rows);
            if (out >= 0) residual = peek((of == OUT ? a.x[x_of(a, layer)] : a.between[turn]) + out);
        }
        // All this comes before what this block puts next, the next layer's x. This warp has as little to multiply as any.
        if (of == DOWN && tid == (WARPS - 2) * 32) asm volatile("fence.acq_rel.gpu;" ::: "memory");
        multiply(of, (const u32*)area, s, ring);
        if (i + 1 == 4 * a.layers) pdl_launch();
        const Outcome o = outcome(a, of, layer, most, s);
        __syncthreads();
        finish(o, of, residual);
        if (of == QKV && s.span.live) attend<HD, INT8>(a, layer, rings, area, scratch, s, ring);
    }
    // The last block to leave clears the barrier: nobody looks at it any more.
    if (tid == 0 && atomicAdd(a.barrier + 1, 1) == gridDim.x - 1) a.barrier[0] = a.barrier[1] = 0;
}

#define DECODE(HD)                                                                                                                        \
    extern "C" __global__ void __launch_bounds__(THREADS, 1) decode_f16_##HD(const DecodeArgs a) { decode<HD, false>(a); }      \
    extern "C" __global__ void __launch_bounds__(THREADS, 1) decode_i8_##HD(const DecodeArgs a) { decode<HD, true>(a); }
DECODE(64)
DECODE(128)
