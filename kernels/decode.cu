// All layers of one token in one launch (sm_90): a block a multiprocessor that stays, weights that flow without a pause.
//
// Formulas are those of gemv.cu (two bits, one scale a part), attend.cu and embed.cu; the head follows in a launch of its own.
// Geometry: one block of 16 warps a multiprocessor, launched together (cooperatively). A block has a fixed run of strips of
//   every matrix, and one split of one KV head's context; of these, each of its warps has a run of tiles, and every
//   sixteenth chunk of 16 positions. A warp streams its own bytes of all layers (weights, keys, values, in the order of their
//   use) through a ring of its own in shared memory, with bulk copies: where it has used a slot, it asks for what comes 12 KiB
//   on. Weights depend on nothing, so rings are full again when blocks have waited for each other.
// A layer is four products (qkv; output; gate and up; down), by the same instructions, which so stay in the instruction cache,
//   and attention after the first. Results go from block to block through the L2.
// Handing on: there is no barrier and no flag. Between uses every number of a result is NOTHING, one NaN that no computation
//   gives; whoever needs it reads until it is there. Who wrote a number writes NOTHING over it as soon as what it has seen
//   proves that all have read it (every block has a share of every matrix, so a later phase's whole result is proof that every
//   block has used the phases before), and fences that before its next result but one, which is what those need who will look
//   at these numbers again. At the start all is NOTHING, behind a barrier.
// Products: column n of the tensor core's B holds run n/2 of a tile's four runs of 32 activations, so that a lane keeps one pair
//   of words. A is the tile with its fields up to j (masked with 4^(j+1) - 1): column 2j of that product less column 2j of
//   the one before is 4^j times field j's own.
// Attention: keys and values are fp16 (int8 is exact there), queries and weights two fp16 numbers each, a high and a low one, in
//   different columns; sums are f32.
// Reduction order: integer sums are exact, in any order. Sums of squares: a thread's columns, butterfly, warps in order.
//   Attention: a warp's chunks in order; warps w and w+8, then warps in order; splits in order.
#include "heads.cuh"
#include "blocks.cuh"

#define WARPS 16
#define THREADS (WARPS * 32)
#define SLOT_TILES 4
#define SLOT_BYTES (SLOT_TILES * 512)
#define RING_BYTES 12288          // of a warp
#define SLOTS (RING_BYTES / SLOT_BYTES)
#define AREA_BYTES 16384          // the quantized row, or sums of attention on their way
#define SCRATCH_BYTES 7168        // of attention
#define MAX_LAYERS 64
#define MAX_STRIPS 32             // of a block: a thread a row
#define GROUP_HEADS 4
#define CHUNK 16                  // positions that a warp takes at once
#define ROW_FOURS (AREA_BYTES / 4 / THREADS)  // float4s of the widest row that a thread holds
#define NORM_FOURS 4
#define WEIGHT_UNIT 256.0f        // of attention's weights in fp16: what matters of them is far above its smallest number
#define NEG_INF __int_as_float(0xff800000)
#define NOTHING 0xffffffffu

enum { QKV, OUT, GATE_UP, DOWN };

struct Shape {
    int rows, cols, tiles, strips;
};
struct Layer {
    const u8* w[4];
    float scale[8];  // q, k, v; output; gate, up; down
};
struct DecodeArgs {
    const Layer* layer;
    const int* start;  // the position, in host memory
    const u8* row;     // the token's row of the embedding, in host memory
    float* x;
    float* between;  // [width]: x between the two halves of a layer
    float* qkv;
    float* attended;
    float* hidden;
    const float* norms;       // [2·layer + which][width]
    const float* head_norms;  // [layer][2][hd], or null
    const float2* rope;
    char* k;
    char* v;
    float* k_scale;  // [layer][KV head][position], int8 only
    float* v_scale;
    float* partial;  // [KV head][split][4][hd + 2]
    int* arrived;
    u32* barrier;    // [2], 0 before and after
    u64* best;       // cleared for the head
    const Shape* shapes;  // of the four matrices
    int width, layers, half, end0, end1;
    int heads, kv_heads, context, pairs, splits, type;
    float eps, head_eps;
};

// Strips of this block.
struct Run {
    int base, mine;
};
// The positions of this block: [from, from + cached) are in the cache, `fresh` says whether the new one comes on top.
struct Span {
    int kv, split, used, from, cached;
    bool live, fresh;
};
// What this block writes of a result.
enum { X, BETWEEN, QKV_ROWS, HIDDEN, ATTENDED, PARTIAL, RESULTS };
struct Part {
    float* at;
    int n;
};
// A warp's tiles of a matrix: the strip (of the block's) and tile of the first, their number, where they lie.
struct Tiles {
    int strip, tile, count;
    u32 offset;
};
// Where a warp's stream is: a matrix or KEYS of a layer, the chunk of positions, keys or values of it.
struct Place {
    int layer, part, chunk, values;
};
struct State {
    u64 full[WARPS][SLOTS];
    Tiles tiles[4][WARPS];
    Place place[WARPS];
    double square[WARPS];
    float most[WARPS];
    int sum[WARPS];
    float peak[WARPS][GROUP_HEADS], mass[WARPS][GROUP_HEADS];
    float q_unit[GROUP_HEADS];
    float fresh_scale[2];
    float2 rope[64];
    int position;
    double part_of_width;  // 1 / width
    Shape of[4];
    Run run[4];
    Part part[RESULTS];
    Span span;
    int red[MAX_STRIPS * 16];
    Layer layer[MAX_LAYERS];
};

// ---- barriers of shared memory, bulk copies ----
__device__ __forceinline__ void mbar_init(u64* b, u32 count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_at(b)), "r"(count) : "memory");
}
__device__ __forceinline__ void mbar_expect(u64* b, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_at(b)), "r"(bytes) : "memory");
}
__device__ __forceinline__ void mbar_arrive(u64* b) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_at(b)) : "memory");
}
__device__ __forceinline__ void mbar_wait(u64* b, u32 parity) {
    u32 done, tries = 0;
    do {
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                     : "=r"(done) : "r"(shared_at(b)), "r"(parity) : "memory");
        if (++tries == 1u << 26) __trap();  // a fault of this file: an error is better than a device that hangs
    } while (!done);
}
__device__ __forceinline__ void bulk(void* to, const void* from, u32 bytes, u64* b) {
    const u64 policy = 0x12f0000000000000;  // evict first, as createpolicy writes it
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;"
                 ::"r"(shared_at(to)), "l"(from), "r"(bytes), "r"(shared_at(b)), "l"(policy) : "memory");
}


// All blocks: what was written before is there after. Once a launch.
__device__ __forceinline__ void all_blocks(u32* barrier) {
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(barrier) : "memory");
        u32 seen, tries = 0;
        do {
            asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(barrier) : "memory");
            if (++tries == 1u << 26) __trap();
        } while (seen < gridDim.x);
    }
    __syncthreads();
}

// ---- results on their way from block to block ----
__device__ __forceinline__ void put(float* to, float v) {
    u32 b = __float_as_uint(v);
    b = b == NOTHING ? 0x7fffffffu : b;
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(to), "r"(b) : "memory");
}
__device__ __forceinline__ void forget(float* to) { asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(to), "r"(NOTHING) : "memory"); }
__device__ __forceinline__ float4 peek(const float4* p) {
    float4 v;
    asm volatile("ld.relaxed.gpu.global.v4.f32 {%0,%1,%2,%3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(p) : "memory");
    return v;
}
__device__ __forceinline__ float2 peek(const float2* p) {
    float2 v;
    asm volatile("ld.relaxed.gpu.global.v2.f32 {%0,%1}, [%2];" : "=f"(v.x), "=f"(v.y) : "l"(p) : "memory");
    return v;
}
__device__ __forceinline__ float peek(const float* p) {
    float v;
    asm volatile("ld.relaxed.gpu.global.f32 %0, [%1];" : "=f"(v) : "l"(p) : "memory");
    return v;
}
__device__ __forceinline__ bool missing(float v) { return __float_as_uint(v) == NOTHING; }
__device__ __forceinline__ bool missing(float2 v) { return max(__float_as_uint(v.x), __float_as_uint(v.y)) == NOTHING; }
__device__ __forceinline__ bool missing(float4 v) {
    return max(max(__float_as_uint(v.x), __float_as_uint(v.y)), max(__float_as_uint(v.z), __float_as_uint(v.w))) == NOTHING;
}
// Reads until it is there.
template <class T> __device__ __forceinline__ T take(const T* p) {
    T v = peek(p);
    for (u32 tries = 0; missing(v); v = peek(p))
        if (++tries == 1u << 26) __trap();
    return v;
}
struct Taken {
    __device__ __forceinline__ float2 operator()(const float2* p) const { return take(p); }
};
// This block's part of a result that all have read.
__device__ __forceinline__ void forget(const Part& part) {
    for (int i = threadIdx.x; i < part.n; i += THREADS) forget(part.at + i);
}

__device__ __forceinline__ Run run_of(int strips) {
    const u32 base = (u32)strips * blockIdx.x / gridDim.x;
    return {(int)base, (int)((u32)strips * (blockIdx.x + 1) / gridDim.x - base)};
}

__device__ __forceinline__ Span span_of(const DecodeArgs& a, int position) {
    Span s;
    s.kv = blockIdx.x / a.splits;
    s.split = blockIdx.x - s.kv * a.splits;
    const int len = position + 1, span = max(64, ((len + a.splits - 1) / a.splits + 15) / 16 * 16);
    s.used = (len + span - 1) / span;
    s.live = s.kv < a.kv_heads && s.split < s.used;
    s.from = s.split * span;
    const int to = min(s.from + span, len);
    s.fresh = to == len;
    s.cached = s.fresh ? to - 1 - s.from : to - s.from;
    return s;
}

// Where four columns from 4·i on lie among the quantized row's words: [tile][run][c][upper].
__device__ __forceinline__ int word_of(int i) { return (i & ~7) | (i & 3) << 1 | (i >> 2 & 1); }

__device__ __forceinline__ float max_of(float v) {  // of floats that are not negative, over a warp
    return __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(v)));
}

// A row of floats to int8 in `area`, normed where there is a weight, by all blocks alike, as soon as it is there; returns its scale.
__device__ __forceinline__ float quantize_row(const float* row, const float* norm, float eps, const Shape& of, u32* area, State& s) {
    const int tid = threadIdx.x, warp = tid >> 5, lane = tid & 31, fours = of.cols / 4;
    // What this block has forgotten comes before what it will put. A thread without a result of its own waits for that.
    if (tid == THREADS - 1) asm volatile("fence.acq_rel.gpu;" ::: "memory");
    float4 w[NORM_FOURS], v[ROW_FOURS];
#pragma unroll
    for (int i = 0; i < NORM_FOURS; i++)
        w[i] = norm && i * THREADS + tid < fours ? __ldg((const float4*)norm + i * THREADS + tid) : make_float4(0, 0, 0, 0);
    // One piece until it is there; most likely the others then are, too.
    const float4* from = (const float4*)row + tid;
    const float nothing = __uint_as_float(NOTHING);
#pragma unroll
    for (int i = 0; i < ROW_FOURS; i++) v[i] = i * THREADS + tid < fours ? make_float4(nothing, nothing, nothing, nothing) : make_float4(0, 0, 0, 0);
    if (tid < fours) v[0] = take(from);
    bool whole;
    u32 tries = 0;
    do {
        whole = true;
#pragma unroll
        for (int i = 1; i < ROW_FOURS; i++)
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
    for (int i = 0; i < ROW_FOURS; i++)
        if (i * THREADS < fours) most = fmaxf(most, absmax4(v[i]));
    most = max_of(most);
    if (lane == 0) s.most[warp] = most;
    __syncthreads();
    most = max_of(s.most[lane & (WARPS - 1)]);
    const float by = 127.0f / most;
    int sum = 0;
#pragma unroll
    for (int i = 0; i < ROW_FOURS; i++) {
        const int at = i * THREADS + tid;
        if (i * THREADS < of.tiles * 32 && at < of.tiles * 32) {
            const u32 q = quantize4(v[i], by);
            area[word_of(at)] = q;
            sum = __dp4a((int)q, 0x01010101, sum);
        }
    }
    sum = __reduce_add_sync(~0u, sum);
    if (lane == 0) s.sum[warp] = sum;
    __syncthreads();
    return most / 127.0f;
}

// What a warp has asked for and will ask for: its bytes of all layers, slot by slot. Its first lane asks.
template <int HD, bool INT8> struct Feed {
    static constexpr int BYTES = HD * (INT8 ? 1 : 2);  // of a cache row
    const DecodeArgs& a;
    State& s;
    u8* ring;  // the warp's own
    int warp;
    u32 slot = 0, parity = 0;
    // What comes next, as the first lane knows it: `left` bytes from `at`.
    const char* at = nullptr;
    u32 left = 0;
    enum { KEYS = 1, PARTS = 5 };

    __device__ __forceinline__ Feed(const DecodeArgs& a, State& s, u8* rings) : a(a), s(s), warp(threadIdx.x >> 5) {
        ring = rings + warp * RING_BYTES;
        if ((threadIdx.x & 31) == 0) {
            for (int i = 0; i < SLOTS; i++) mbar_init(&s.full[warp][i], 1);
            asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
            asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
            s.place[warp] = {0, -1, 0, 0};
            advance();
#pragma unroll 1
            for (int i = 0; i < SLOTS; i++) ask(i);
        }
        __syncwarp();
    }
    // To the next bytes there are.
    __device__ __forceinline__ void advance() {
        Place p = s.place[warp];
#pragma unroll 1
        while (p.layer < a.layers) {
            if (p.part == KEYS && p.chunk * CHUNK < s.span.cached) {
                const size_t row = (size_t)(p.layer * a.kv_heads + s.span.kv) * a.context + s.span.from + p.chunk * CHUNK;
                at = (p.values ? a.v : a.k) + row * BYTES;
                left = min(CHUNK, s.span.cached - p.chunk * CHUNK) * BYTES;
                if (p.values) p.chunk += WARPS;
                p.values ^= 1;
                break;
            }
            if (++p.part == PARTS) {
                p.part = -1;
                p.layer++;
                continue;
            }
            if (p.part == KEYS) {
                p.chunk = s.span.live ? warp : 1 << 24;
                continue;
            }
            const int of = p.part ? p.part - 1 : 0;
            const Tiles& t = s.tiles[of][warp];
            at = (const char*)s.layer[p.layer].w[of] + t.offset;
            left = t.count * 512;
            if (left) break;
        }
        s.place[warp] = p;
    }
    // Fills a slot with what comes next.
    __device__ __forceinline__ void ask(u32 slot) {
        if (!left) return;
        const u32 bytes = min(left, (u32)SLOT_BYTES);
        mbar_expect(&s.full[warp][slot], bytes);
        bulk(ring + slot * SLOT_BYTES, at, bytes, &s.full[warp][slot]);
        at += bytes;
        left -= bytes;
        if (!left) advance();
    }
    __device__ __forceinline__ const u8* wait() {
        mbar_wait(&s.full[warp][slot], parity);
        return ring + slot * SLOT_BYTES;
    }
    // All lanes have what they need of the slot.
    __device__ __forceinline__ void used() {
        __syncwarp();
        if ((threadIdx.x & 31) == 0) ask(slot);
        if (++slot == SLOTS) { slot = 0; parity ^= 1; }
    }
};

// Σ code·q of this warp's tiles into s.red.
template <class F> __device__ __forceinline__ void multiply(int of, int tiles, const u32* area, State& s, F& feed) {
    const int lane = threadIdx.x & 31, g = lane >> 2, c = lane & 3;
    const Tiles mine = s.tiles[of][feed.warp];
    const uint2* xs = (const uint2*)area + (g >> 1) * 4 + c;
    int* red = s.red + mine.strip * 16 + (c & 1) * 8 + g;
    int t = mine.tile;
    int acc[4][4];
    auto clear = [&] {
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) acc[j][i] = 0;
    };
    clear();
    auto flush = [&] {
        int low = acc[0][0], high = acc[0][2];
#pragma unroll
        for (int j = 1; j < 4; j++)
            if (c == j) { low = acc[j][0] - acc[j - 1][0]; high = acc[j][2] - acc[j - 1][2]; }
        low >>= 2 * c;
        high >>= 2 * c;
        int keep = c & 1 ? high : low;
        keep += __shfl_xor_sync(~0u, c & 1 ? low : high, 1);
        keep += __shfl_xor_sync(~0u, keep, 2);
        if (c < 2) atomicAdd(red, keep);
        red += 16;
        clear();
    };
    auto next = [&](int t) { return t + 1 == tiles ? 0 : t + 1; };
    for (int left = mine.count; left > 0; left -= SLOT_TILES) {
        const uint4* from = (const uint4*)feed.wait() + lane;
        uint4 w[SLOT_TILES];
        uint2 b[SLOT_TILES];
        int at = t;
#pragma unroll
        for (int k = 0; k < SLOT_TILES; k++) {
            w[k] = from[k * 32];
            b[k] = xs[at * 16];
            at = next(at);
        }
#pragma unroll
        for (int k = 0; k < SLOT_TILES; k++) {
            if (k && k >= left) break;
            mma_u8s8(acc[0], w[k].x & 0x03030303, w[k].y & 0x03030303, w[k].z & 0x03030303, w[k].w & 0x03030303, b[k].x, b[k].y);
            mma_u8s8(acc[1], w[k].x & 0x0f0f0f0f, w[k].y & 0x0f0f0f0f, w[k].z & 0x0f0f0f0f, w[k].w & 0x0f0f0f0f, b[k].x, b[k].y);
            mma_u8s8(acc[2], w[k].x & 0x3f3f3f3f, w[k].y & 0x3f3f3f3f, w[k].z & 0x3f3f3f3f, w[k].w & 0x3f3f3f3f, b[k].x, b[k].y);
            mma_u8s8(acc[3], w[k].x, w[k].y, w[k].z, w[k].w, b[k].x, b[k].y);
            t = next(t);
            if (t == 0) flush();
        }
        feed.used();
    }
    if (t) flush();
}

// The row of a matrix's output that this thread has (of gate and up: the pair), or -1.
__device__ __forceinline__ int own_row(const Run& r, int rows_of_strip, int rows) {
    const int out = r.base * rows_of_strip + threadIdx.x;
    return threadIdx.x < r.mine * rows_of_strip && out < rows ? out : -1;
}

// This thread's row: stored, or added to the residual stream; of gate and up the pair.
__device__ __forceinline__ void finish(const DecodeArgs& a, int of, const float* scale, float x_scale, float& residual, State& s) {
    const Run r = s.run[of];
    const bool pair = of == GATE_UP;
    const int out = own_row(r, pair ? 8 : 16, pair ? a.half : s.of[of].rows);
    const int total = __reduce_add_sync(~0u, threadIdx.x & 16 ? 0 : s.sum[threadIdx.x & 15]);
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

// ---- attention ----
// d += A · B of fp16.
__device__ __forceinline__ void mma(float (&d)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    const u32 a[4] = {a0, a1, a2, a3};
    mma_f16(d, a, b0, b1);
}
// Bytes 0 and 2 of a word of int8 to fp16: 1024 + 128 + value by its bits, then less 1152, which is exact.
__device__ __forceinline__ u32 even_halves(u32 w) {
    u32 r = (w & 0x00ff00ffu) ^ 0x64806480u;
    asm("sub.rn.f16x2 %0, %0, %1;" : "+r"(r) : "r"(0x64806480u));
    return r;
}
// Two floats as fp16: the nearest, or what that leaves.
__device__ __forceinline__ u32 halves(float x, float y, bool rest) {
    const u32 high = f2h2(x, y);
    return rest ? f2h2(x - h2f((u16)high), y - h2f((u16)(high >> 16))) : high;
}

// Attention of this block's span; the first split of a KV head combines them all.
template <int HD, bool INT8> __device__ __forceinline__ void attend(const DecodeArgs& a, int layer, u8* area, u8* scratch, State& s, Feed<HD, INT8>& feed) {
    constexpr int BYTES = HD * (INT8 ? 1 : 2);     // of a cache row
    constexpr int STEPS = HD / 16;                 // products of 16 dimensions
    constexpr int TILES = HD / 16;                 // of 16 dimensions, of values
    constexpr int PITCH = 2 * STEPS + 4;           // words of a lane's queries
    constexpr int SLOT_ROWS = SLOT_BYTES / BYTES;
    constexpr int OWN = HD / 8;                    // dimensions of values that a lane has
    const int tid = threadIdx.x, warp = tid >> 5, lane = tid & 31, g = lane >> 2, c = lane & 3;
    float(*flat)[HD] = (float(*)[HD])area;                                // queries, key and value as floats
    float(*gather)[GROUP_HEADS * HD] = (float(*)[GROUP_HEADS * HD])area;  // [8], when those have been used
    u32* queries = (u32*)scratch;                                         // [32][PITCH]
    u8* stored = scratch + 32 * PITCH * 4;                                // [2][BYTES], as in the cache
    float* weights = (float*)(stored + 2 * BYTES) + warp * CHUNK * GROUP_HEADS;
    static_assert(32 * PITCH * 4 + 2 * BYTES + WARPS * CHUNK * GROUP_HEADS * 4 <= SCRATCH_BYTES, "fits");
    static_assert(8 * GROUP_HEADS * HD * 4 <= AREA_BYTES && GROUP_HEADS * HD <= THREADS, "fits, a thread an output");
    const Span& sp = s.span;
    const int group = a.heads / a.kv_heads, first = sp.kv * group;
    const size_t head = (size_t)(layer * a.kv_heads + sp.kv) * a.context;
    const int chunks = (sp.cached + CHUNK - 1) / CHUNK, all = chunks + sp.fresh, busy = min(WARPS, all);
    float k_scale[2], v_scale[2];  // of positions g and g+8
    auto scales = [&](int chunk) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            if (!INT8) { k_scale[i] = v_scale[i] = 1; continue; }
            const size_t at = head + sp.from + min(chunk * CHUNK + g + 8 * i, sp.cached - 1);
            if (chunk < chunks) { k_scale[i] = __ldcg(a.k_scale + at); v_scale[i] = __ldcg(a.v_scale + at); }
        }
    };
    scales(warp);

    const float* norms = a.head_norms ? a.head_norms + (size_t)layer * 2 * HD : nullptr;
    const int extra = warp - GROUP_HEADS;  // 0: the key, 1: the value
    const bool query = warp < group, fresh = sp.fresh && (extra == 0 || extra == 1);
    if (query || fresh) {
        const int from = query ? first + warp : a.heads + extra * a.kv_heads + sp.kv;
        rotate<HD>(a.qkv + from * HD, flat[warp], extra == 1 || !norms ? nullptr : query ? norms : norms + HD, extra == 1 ? nullptr : s.rope, a.pairs, a.head_eps, Taken{});
        __syncwarp();
    }
    if (warp < GROUP_HEADS) {
        float most = 0;
        if (query) {
            for (int p = lane; p < HD / 2; p += 32) {
                const float2 v = ((const float2*)flat[warp])[p];
                most = fmaxf(most, fmaxf(fabsf(v.x), fabsf(v.y)));
            }
            most = max_of(most);
        }
        // A power of two that brings the largest near 1,000.
        const u32 exponent = min(max(__float_as_uint(most) >> 23, 16u), 254u);
        const float up = __uint_as_float((263 - exponent) << 23);
        if (lane == 0) s.q_unit[warp] = __uint_as_float((exponent - 9) << 23) * (1.0f / sqrtf((float)HD));
        for (int p = lane; p < HD / 2; p += 32) {
            float2 v = query ? ((const float2*)flat[warp])[p] : make_float2(0, 0);
            v = make_float2(v.x * up, v.y * up);
            // Dimensions 2p, 2p+1 belong to lane `of` of a row of keys, and there to word `in`.
            const int d = 2 * p, piece = d * (INT8 ? 1 : 2) / 16, of = piece & 3;
            const int in = (piece >> 2) * (INT8 ? 8 : 4) + (INT8 ? d % 16 / 4 * 2 : d % 8 / 2);
#pragma unroll
            for (int rest = 0; rest < 2; rest++) {
                u32* to = queries + ((warp + 4 * rest) * 4 + of) * PITCH + in;
                const u32 two = halves(v.x, v.y, rest);
                if (INT8) {
                    ((u16*)to)[d >> 1 & 1] = (u16)two;
                    ((u16*)(to + 1))[d >> 1 & 1] = (u16)(two >> 16);
                } else {
                    *to = two;
                }
            }
        }
    } else if (fresh) {
        append<HD, INT8>(flat[warp], stored + extra * BYTES, &s.fresh_scale[extra], 0);
        __syncwarp();
        const size_t at = head + s.position;
        if (lane < BYTES / 16) ((uint4*)((extra ? a.v : a.k) + at * BYTES))[lane] = ((const uint4*)(stored + extra * BYTES))[lane];
        if (INT8 && lane == 0) (extra ? a.v_scale : a.k_scale)[at] = s.fresh_scale[extra];
    }
    __syncthreads();

    const int h0 = 2 * (c & 1);  // this lane's two heads in products; c/2 says whether high or low
    float sum[TILES][4], peak[2] = {NEG_INF, NEG_INF}, mass[2] = {0, 0};
#pragma unroll
    for (int i = 0; i < TILES; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] = 0;
    if (warp < busy) {
        const uint2* q = (const uint2*)(queries + lane * PITCH);
        const float unit[2] = {s.q_unit[h0], s.q_unit[h0 + 1]};
#pragma unroll 1
        for (int chunk = warp; chunk < all; chunk += WARPS) {
            const bool cached = chunk < chunks;
            const int rows = cached ? min(CHUNK, sp.cached - chunk * CHUNK) : 1, slots = cached ? (rows + SLOT_ROWS - 1) / SLOT_ROWS : 0;
            if (INT8 && !cached) {
                k_scale[0] = k_scale[1] = s.fresh_scale[0];
                v_scale[0] = v_scale[1] = s.fresh_scale[1];
            }
            // Rows behind the last are the last.
            auto row = [&](int r, int which) -> const u8* {
                r = min(r, rows - 1);
                if (!cached) return stored + which * BYTES;
                u32 slot = feed.slot + r / SLOT_ROWS;
                if (slot >= SLOTS) slot -= SLOTS;
                return feed.ring + slot * SLOT_BYTES + r % SLOT_ROWS * BYTES;
            };
            auto wait = [&] {
                u32 slot = feed.slot, parity = feed.parity;
#pragma unroll 1
                for (int i = 0; i < slots; i++) {
                    mbar_wait(&s.full[warp][slot], parity);
                    if (++slot == SLOTS) { slot = 0; parity ^= 1; }
                }
            };
            auto used = [&] {
#pragma unroll 1
                for (int i = 0; i < slots; i++) feed.used();
            };

            wait();
            const u8 *low = row(g, 0) + c * 16, *high = row(g + 8, 0) + c * 16;
            float dot[2][4] = {};
#pragma unroll
            for (int j = 0; j < BYTES / 64; j++) {
                const uint4 l = *(const uint4*)(low + j * 64), h = *(const uint4*)(high + j * 64);
                const u32 lw[4] = {l.x, l.y, l.z, l.w}, hw[4] = {h.x, h.y, h.z, h.w};
                if (INT8) {
#pragma unroll
                    for (int w = 0; w < 4; w++) {
                        const uint2 b = q[j * 4 + w];
                        mma(dot[w & 1], even_halves(lw[w]), even_halves(hw[w]), even_halves(lw[w] >> 8), even_halves(hw[w] >> 8), b.x, b.y);
                    }
                } else {
#pragma unroll
                    for (int w = 0; w < 2; w++) {
                        const uint2 b = q[j * 2 + w];
                        mma(dot[w & 1], lw[2 * w], hw[2 * w], lw[2 * w + 1], hw[2 * w + 1], b.x, b.y);
                    }
                }
            }
            used();
            float e[2][2];  // positions g and g+8, two heads
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    float v = dot[0][2 * i + j] + dot[1][2 * i + j];
                    v += __shfl_xor_sync(~0u, v, 2);
                    e[i][j] = g + 8 * i < rows ? v * (unit[j] * k_scale[i]) : NEG_INF;
                }
            float shrink[2];
#pragma unroll
            for (int j = 0; j < 2; j++) {
                float most = fmaxf(e[0][j], e[1][j]);
#pragma unroll
                for (int o = 4; o < 32; o *= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, o));
                most = fmaxf(most, peak[j]);
                shrink[j] = expf(peak[j] - most);
                peak[j] = most;
                e[0][j] = expf(e[0][j] - most);
                e[1][j] = expf(e[1][j] - most);
                mass[j] = fmaf(mass[j], shrink[j], e[0][j] + e[1][j]);
            }
            if (c < 2) {
#pragma unroll
                for (int i = 0; i < 2; i++)
                    ((float2*)weights)[(g + 8 * i) * 2 + c] = make_float2(e[i][0] * v_scale[i] * WEIGHT_UNIT, e[i][1] * v_scale[i] * WEIGHT_UNIT);
            }
            if (chunk + WARPS < chunks) scales(chunk + WARPS);
#pragma unroll
            for (int i = 0; i < TILES; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) sum[i][j] *= shrink[j & 1];
            __syncwarp();
            const float* of = weights + (g & 3);
            const u32 b0 = halves(of[2 * c * GROUP_HEADS], of[(2 * c + 1) * GROUP_HEADS], g >> 2);
            const u32 b1 = halves(of[(2 * c + 8) * GROUP_HEADS], of[(2 * c + 9) * GROUP_HEADS], g >> 2);
            wait();
            const u8* at[4];
#pragma unroll
            for (int r = 0; r < 4; r++) at[r] = row(2 * c + (r & 1) + (r >> 1) * 8, 1) + g * (BYTES / 8);
            constexpr int WORDS = BYTES / 8 < 16 ? 2 : 4;  // of a piece
#pragma unroll
            for (int piece = 0; piece < BYTES / 8 / (4 * WORDS); piece++) {
                u32 w[4][4];
#pragma unroll
                for (int r = 0; r < 4; r++) {
                    if (WORDS == 4) { const uint4 v = ((const uint4*)at[r])[piece]; w[r][0] = v.x; w[r][1] = v.y; w[r][2] = v.z; w[r][3] = v.w; }
                    else { const uint2 v = ((const uint2*)at[r])[piece]; w[r][0] = v.x; w[r][1] = v.y; }
                }
#pragma unroll
                for (int i = 0; i < WORDS; i++) {
                    if (INT8) {
#pragma unroll
                        for (int two = 0; two < 2; two++) {
                            const u32 x = __byte_perm(w[0][i], w[1][i], two ? 0x7632 : 0x5410), y = __byte_perm(w[2][i], w[3][i], two ? 0x7632 : 0x5410);
                            mma(sum[i * 2 + two], even_halves(x), even_halves(x >> 8), even_halves(y), even_halves(y >> 8), b0, b1);
                        }
                    } else {
                        mma(sum[piece * 4 + i], __byte_perm(w[0][i], w[1][i], 0x5410), __byte_perm(w[0][i], w[1][i], 0x7632),
                            __byte_perm(w[2][i], w[3][i], 0x5410), __byte_perm(w[2][i], w[3][i], 0x7632), b0, b1);
                    }
                }
            }
            used();
        }
#pragma unroll
        for (int j = 0; j < 2; j++)
#pragma unroll
            for (int o = 4; o < 32; o *= 2) mass[j] += __shfl_xor_sync(~0u, mass[j], o);
#pragma unroll
        for (int i = 0; i < TILES; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) sum[i][j] += __shfl_xor_sync(~0u, sum[i][j], 2);
    }

    // Lanes c and c^2 have the same now: each takes every second tile.
    auto leave = [&](int w) {
#pragma unroll
        for (int i = 0; i < TILES; i++) {
            if ((i & 1) != c >> 1) continue;
#pragma unroll
            for (int j = 0; j < 2; j++) ((float2*)&gather[w][(h0 + j) * HD + g * OWN])[i] = make_float2(sum[i][j], sum[i][2 + j]);
        }
        if (g == 0 && c < 2) {
#pragma unroll
            for (int j = 0; j < 2; j++) { s.peak[w][h0 + j] = peak[j]; s.mass[w][h0 + j] = mass[j]; }
        }
    };
    if (busy > 8) {
        if (warp >= 8 && warp < busy) leave(warp - 8);
        __syncthreads();
        if (warp + 8 < busy) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const float most = fmaxf(peak[j], s.peak[warp][h0 + j]), own = expf(peak[j] - most), other = expf(s.peak[warp][h0 + j] - most);
                peak[j] = most;
                mass[j] = fmaf(mass[j], own, s.mass[warp][h0 + j] * other);
#pragma unroll
                for (int i = 0; i < TILES; i++) {
                    const float2 v = ((const float2*)&gather[warp][(h0 + j) * HD + g * OWN])[i];
                    sum[i][j] = fmaf(sum[i][j], own, v.x * other);
                    sum[i][2 + j] = fmaf(sum[i][2 + j], own, v.y * other);
                }
            }
            __syncwarp();
        }
    }
    if (warp < min(busy, 8)) leave(warp);
    __syncthreads();
    const int h = tid / HD, d = tid - h * HD;
    float* out = a.attended + first * HD + tid;
    float* partial = a.partial + (size_t)sp.kv * a.splits * GROUP_HEADS * (HD + 2);
    if (tid >= GROUP_HEADS * HD) return;
    float highest = NEG_INF, all_mass = 0, mixed = 0;
    for (int w = 0; w < min(busy, 8); w++) highest = fmaxf(highest, s.peak[w][h]);
    for (int w = 0; w < min(busy, 8); w++) {
        const float by = expf(s.peak[w][h] - highest);
        mixed = fmaf(by, gather[w][tid], mixed);
        all_mass = fmaf(by, s.mass[w][h], all_mass);
    }
    mixed *= 1.0f / WEIGHT_UNIT;
    if (sp.used == 1) {
        if (h < group) put(out, mixed / all_mass);
        return;
    }
    if (sp.split) {
        float* to = partial + (sp.split * GROUP_HEADS + h) * (HD + 2);
        put(to + d, mixed);
        if (d == 0) {
            put(to + HD, highest);
            put(to + HD + 1, all_mass);
        }
    } else if (h < group) {
        // A lane a split, for their heights and masses; its own is known.
        constexpr int NEXT = GROUP_HEADS * (HD + 2), BATCH = 8;
        static_assert(HD % 32 == 0, "a warp has one head");
        const float* from = partial + h * (HD + 2);
        const bool there = lane && lane < sp.used;
        const float top = there ? take(from + lane * NEXT + HD) : lane ? NEG_INF : highest;
        const float part = there ? take(from + lane * NEXT + HD + 1) : lane ? 0 : all_mass;
        const float by = expf(top - warp_max(top));
        all_mass = warp_sum(by * part);
        mixed *= __shfl_sync(~0u, by, 0);
#pragma unroll 1
        for (int p0 = 1; p0 < sp.used; p0 += BATCH) {
            float v[BATCH];
#pragma unroll
            for (int i = 0; i < BATCH; i++) v[i] = p0 + i < sp.used ? __uint_as_float(NOTHING) : 0.0f;
            bool whole;
            u32 tries = 0;
            do {
                whole = true;
#pragma unroll
                for (int i = 0; i < BATCH; i++)
                    if (missing(v[i])) { v[i] = peek(from + (p0 + i) * NEXT + d); whole = false; }
                if (++tries == 1u << 26) __trap();
            } while (!whole);
#pragma unroll
            for (int i = 0; i < BATCH; i++) mixed = fmaf(__shfl_sync(~0u, by, p0 + i & 31), v[i], mixed);
        }
        put(out, mixed / all_mass);
    }
}

template <int HD, bool INT8> __device__ __forceinline__ void decode(const DecodeArgs& a) {
    extern __shared__ __align__(128) u8 rings[];
    __shared__ State s;
    u8 *area = rings + WARPS * RING_BYTES, *scratch = area + AREA_BYTES;
    const int tid = threadIdx.x;
    if (tid == 0) {
        s.position = *(const volatile int*)a.start;
        s.span = span_of(a, s.position);
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
    if (tid < a.pairs) s.rope[tid] = a.rope[(size_t)s.position * a.pairs + tid];
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
    if (own >= 0) put(a.x + own, residual = weight_at(a.row, a.type, own));
    __syncthreads();
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
        __syncthreads();
        finish(a, of, s.layer[layer].scale, by, residual, s);
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
