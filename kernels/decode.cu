// All layers of one token in one launch (sm_90): a block a multiprocessor that stays, weights that flow without a pause.
//
// Formulas are those of gemv.cu (two bits, one scale a part), attend.cu and embed.cu; the head follows in a launch of its own.
// Geometry: one block of 17 warps a multiprocessor, launched together (cooperatively). A block has a fixed run of strips of
//   every matrix, and one split of one KV head's context. Warp 16 streams the block's bytes of all layers (weights, keys,
//   values, in the order of their use) through a ring of shared memory with bulk copies; weights depend on nothing, so the
//   stream runs on while blocks wait for each other. Warps 0 to 15 compute: five phases a layer (qkv; attention; output;
//   gate and up; down), whose results go from block to block through the L2.
// Handing on: there is no barrier and no flag. Between uses every number of a result is NOTHING, one NaN that no computation
//   gives; whoever needs it reads until it is there. Who wrote a number writes NOTHING over it as soon as what it has seen
//   proves that all have read it (every block has a share of every matrix, so a later phase's whole result is proof that every
//   block has used the phases before), and fences that before its next result. At the start all is NOTHING, behind a barrier.
// Products: tile f of a run belongs to warp f%16. Column n of the tensor core's B holds run n/2 of a tile's four runs of 32
//   activations, so that a lane keeps one pair of words; of the product with field j only column 2j is of use.
// Reduction order: integer sums are exact, in any order. Sums of squares: a thread's columns, butterfly, warps in order.
//   Attention: positions in order within a warp, warps in order, splits in order.
#include "heads.cuh"
#include "blocks.cuh"

#define CONSUMERS 16
#define THREADS (CONSUMERS * 32)
#define RING_STAGES 12
#define STAGE_BYTES 16384
#define STAGE_TILES (STAGE_BYTES / 512)
#define AREA_BYTES 16384  // the quantized row, or what attention keeps
#define MAX_SPAN 512      // positions of a block: their scores are in shared memory at once
#define MAX_LAYERS 64
#define MAX_STRIPS 64
#define GROUP_HEADS 4
#define ROW_FOURS (AREA_BYTES / 4 / THREADS)  // float4s of the widest row that a thread holds
#define NORM_FOURS 4
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
    Shape of[4];
    int layers, half, end0, end1;
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
struct State {
    u64 full[RING_STAGES], empty[RING_STAGES];
    double square[CONSUMERS];
    float4 peak[GROUP_HEADS], mass[GROUP_HEADS];  // of a head, by quarter of the positions
    float most[CONSUMERS];
    int sum[CONSUMERS];
    float fresh_scale[2];
    int position;
    Run run[4];
    Part part[RESULTS];
    Span span;
    Layer layer[MAX_LAYERS];
    int red[MAX_STRIPS * 16];
    float residual[MAX_STRIPS * 16];  // this block's rows of x
    float k_scale[MAX_SPAN], v_scale[MAX_SPAN];
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
__device__ __forceinline__ void bulk(void* to, const void* from, u32 bytes, u64* b, u64 policy) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;"
                 ::"r"(shared_at(to)), "l"(from), "r"(bytes), "r"(shared_at(b)), "l"(policy) : "memory");
}

struct Pipe {
    u32 stage = 0, parity = 0;
    __device__ __forceinline__ void next() {
        if (++stage == RING_STAGES) { stage = 0; parity ^= 1; }
    }
};

// All threads that compute, of this block.
__device__ __forceinline__ void sync() { asm volatile("bar.sync 1, %0;" ::"n"(THREADS) : "memory"); }

// All blocks: what was written before is there after. Once a launch.
__device__ __forceinline__ void all_blocks(u32* barrier) {
    sync();
    if (threadIdx.x == 0) {
        asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(barrier) : "memory");
        u32 seen, tries = 0;
        do {
            asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(barrier) : "memory");
            if (++tries == 1u << 26) __trap();
        } while (seen < gridDim.x);
    }
    sync();
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
// Threads 256 and up: this block's part of a result that all have read.
__device__ __forceinline__ void forget(const Part& part) {
    if (threadIdx.x < THREADS / 2) return;
    for (int i = threadIdx.x - THREADS / 2; i < part.n; i += THREADS / 2) forget(part.at + i);
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

// A row of floats to int8 in `area`, by all blocks alike, as soon as it is there; returns its scale.
template <bool NORM> __device__ __forceinline__ float quantize_row(const float* row, const float* norm, float eps, const Shape& of, u32* area, State& s) {
    constexpr int N = NORM ? NORM_FOURS : ROW_FOURS;
    const int tid = threadIdx.x, warp = tid >> 5, lane = tid & 31;
    float4 w[NORM ? N : 1], v[N];
    if (NORM) {
#pragma unroll
        for (int i = 0; i < N; i++)
            if ((i * THREADS + tid) * 4 < of.cols) w[i] = __ldg((const float4*)norm + i * THREADS + tid);
    }
    // One piece until it is there; most likely the others then are, too.
    const float4* from = (const float4*)row + tid;
    v[0] = tid * 4 < of.cols ? take(from) : make_float4(0, 0, 0, 0);
#pragma unroll
    for (int i = 1; i < N; i++) v[i] = (i * THREADS + tid) * 4 < of.cols ? peek(from + i * THREADS) : make_float4(0, 0, 0, 0);
#pragma unroll
    for (int i = 1; i < N; i++)
        if (missing(v[i])) v[i] = take(from + i * THREADS);
    if (NORM) {
        double square = 0;
#pragma unroll
        for (int i = 0; i < N; i++) {
            square = fma((double)v[i].x, (double)v[i].x, square);
            square = fma((double)v[i].y, (double)v[i].y, square);
            square = fma((double)v[i].z, (double)v[i].z, square);
            square = fma((double)v[i].w, (double)v[i].w, square);
        }
        square = warp_sum(square);
        if (lane == 0) s.square[warp] = square;
        sync();
        double part[4] = {0, 0, 0, 0};
#pragma unroll
        for (int i = 0; i < CONSUMERS; i++) part[i & 3] += s.square[i];
        double m = ((part[0] + part[1]) + (part[2] + part[3])) / (double)of.cols + (double)eps;
        double y = (double)rsqrtf((float)m);
        y = y * (1.5 - 0.5 * m * y * y);
        const float r = (float)(y * (1.5 - 0.5 * m * y * y));
#pragma unroll
        for (int i = 0; i < N; i++)
            if ((i * THREADS + tid) * 4 < of.cols) v[i] = make_float4(v[i].x * r * w[i].x, v[i].y * r * w[i].y, v[i].z * r * w[i].z, v[i].w * r * w[i].w);
    }
    float most = MIN_ABSMAX;
#pragma unroll
    for (int i = 0; i < N; i++) most = fmaxf(most, absmax4(v[i]));
    most = warp_max(most);
    if (lane == 0) s.most[warp] = most;
    sync();
#pragma unroll
    for (int i = 0; i < CONSUMERS; i++) most = fmaxf(most, s.most[i]);
    const float by = 127.0f / most;
    int sum = 0;
#pragma unroll
    for (int i = 0; i < N; i++) {
        const int at = i * THREADS + tid;
        if (at < of.tiles * 32) {
            const u32 q = quantize4(v[i], by);
            area[word_of(at)] = q;
            sum = __dp4a((int)q, 0x01010101, sum);
        }
    }
    for (int o = 16; o; o >>= 1) sum += __shfl_xor_sync(~0u, sum, o);
    if (lane == 0) s.sum[warp] = sum;
    sync();
    return most / 127.0f;
}

// Σ code·q of this block's strips into s.red.
__device__ __forceinline__ void multiply(const Shape& of, int mine, const u8* ring, const u32* area, State& s, Pipe& pipe) {
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, c = lane & 3;
    const int total = mine * of.tiles;
    const uint2* xs = (const uint2*)area + (g >> 1) * 4 + c;
    int strip = warp / of.tiles, t = warp - strip * of.tiles;
    int acc[4][4];
    auto clear = [&] {
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) acc[j][i] = 0;
    };
    clear();
    auto add = [&](const uint4& w, const uint2& b) {
#pragma unroll
        for (int j = 0; j < 4; j++) mma_u8s8(acc[j], field(w.x, j), field(w.y, j), field(w.z, j), field(w.w, j), b.x, b.y);
    };
    // The strip's sum of this warp, where its next tile is of another.
    auto step = [&] {
        t += CONSUMERS;
        if (t < of.tiles) return;
        int low = c == 0 ? acc[0][0] : c == 1 ? acc[1][0] : c == 2 ? acc[2][0] : acc[3][0];
        int high = c == 0 ? acc[0][2] : c == 1 ? acc[1][2] : c == 2 ? acc[2][2] : acc[3][2];
        low >>= 2 * c;
        high >>= 2 * c;
        int keep = c & 1 ? high : low;
        keep += __shfl_xor_sync(~0u, c & 1 ? low : high, 1);
        keep += __shfl_xor_sync(~0u, keep, 2);
        if (c < 2) atomicAdd(&s.red[strip * 16 + c * 8 + g], keep);
        clear();
        do { t -= of.tiles; strip++; } while (t >= of.tiles);
    };
    for (int f = warp; f - warp < total; f += STAGE_TILES) {
        mbar_wait(&s.full[pipe.stage], pipe.parity);
        const uint4* w = (const uint4*)(ring + pipe.stage * STAGE_BYTES) + warp * 32 + lane;
        static_assert(STAGE_TILES == 2 * CONSUMERS, "two tiles of a stage a warp");
        if (f + CONSUMERS < total) {
            const uint4 w0 = w[0], w1 = w[CONSUMERS * 32];
            int t1 = t + CONSUMERS;
            while (t1 >= of.tiles) t1 -= of.tiles;
            const uint2 b0 = xs[t * 16], b1 = xs[t1 * 16];
            add(w0, b0);
            step();
            add(w1, b1);
            if (lane == 0) mbar_arrive(&s.empty[pipe.stage]);  // all lanes have theirs: the product needed them
            step();
        } else {
            if (f < total) {
                add(w[0], xs[t * 16]);
                step();
            }
            __syncwarp();
            if (lane == 0) mbar_arrive(&s.empty[pipe.stage]);
        }
        pipe.next();
    }
    sync();
    // What was forgotten has long been; its order before the next result costs nothing here.
    if (threadIdx.x >= THREADS / 2) __threadfence();
}

// The sum of the quantized row.
__device__ __forceinline__ int sum_of(const State& s) {
    int sum = 0;
#pragma unroll
    for (int i = 0; i < CONSUMERS; i++) sum += s.sum[i];
    return sum;
}

// Output rows of this block: stored, or added to the residual stream.
template <bool ADD> __device__ __forceinline__ void finish(const Shape& of, const Run& r, float* y, int end0, int end1, const float* scale, float x_scale, State& s) {
    const int total = sum_of(s);
    for (int i = threadIdx.x; i < r.mine * 16; i += THREADS) {
        const int out = r.base * 16 + i, dot = s.red[i] - total;
        s.red[i] = 0;
        if (out >= of.rows) continue;
        float v = (float)dot * ((out < end0 ? scale[0] : out < end1 ? scale[1] : scale[2]) * x_scale);
        if (ADD) s.residual[i] = v = s.residual[i] + v;
        put(y + out, v);
    }
}

__device__ __forceinline__ void finish_swiglu(const Run& r, float* y, int half, const float* scale, float x_scale, State& s) {
    const int total = sum_of(s);
    for (int i = threadIdx.x; i < r.mine * 8; i += THREADS) {
        const int out = r.base * 8 + i, at = (i >> 3) * 16 + (i & 7);
        const float gate = (float)(s.red[at] - total) * (scale[0] * x_scale), up = (float)(s.red[at + 8] - total) * (scale[1] * x_scale);
        s.red[at] = 0;
        s.red[at + 8] = 0;
        if (out < half) put(y + out, gate / (1.0f + expf(-gate)) * up);
    }
}

// Attention of this block's span; the first split of a KV head combines them all.
template <int HD, bool INT8> __device__ __forceinline__ void attend(const DecodeArgs& a, int layer, const u8* ring, u8* area, State& s, Pipe& pipe) {
    constexpr int BYTES = HD * (INT8 ? 1 : 2);   // of a cache row
    constexpr int EACH = 8;                      // elements of a lane
    constexpr int SHARE = HD / EACH;             // lanes that share a cache row
    constexpr int AT_ONCE = 32 / SHARE;
    constexpr int DIMS = HD / 32;                // dimensions of a lane when values are summed
    constexpr int PER = STAGE_BYTES / BYTES;     // positions of a stage
    const int tid = threadIdx.x, warp = tid >> 5, lane = tid & 31;
    float(*q)[HD] = (float(*)[HD])area;                                   // [4]
    float(*fresh)[HD] = q + GROUP_HEADS;                                  // [2]
    u8* stored = (u8*)(fresh + 2);                                        // [2][BYTES], as in the cache
    float(*weight)[GROUP_HEADS] = (float(*)[GROUP_HEADS])(stored + 2 * BYTES);  // [MAX_SPAN + 1]
    float(*gather)[GROUP_HEADS * HD] = (float(*)[GROUP_HEADS * HD])area;  // [8], over all of them
    static_assert(6 * HD * 4 + 2 * BYTES + (MAX_SPAN + 1) * 16 <= AREA_BYTES && 8 * GROUP_HEADS * HD * 4 <= AREA_BYTES, "fits");
    const Span& sp = s.span;
    const int group = a.heads / a.kv_heads, first = sp.kv * group;
    const size_t head = (size_t)(layer * a.kv_heads + sp.kv) * a.context;
    static_assert(MAX_SPAN == THREADS, "a thread a position");
    if (INT8 && tid < sp.cached) {
        s.k_scale[tid] = __ldcg(a.k_scale + head + sp.from + tid);
        s.v_scale[tid] = __ldcg(a.v_scale + head + sp.from + tid);
    }
    const float2* rope = a.rope + (size_t)s.position * a.pairs;
    const float* norms = a.head_norms ? a.head_norms + (size_t)layer * 2 * HD : nullptr;
    if (warp < group) rotate<HD>(a.qkv + (first + warp) * HD, q[warp], norms, rope, a.pairs, a.head_eps, Taken{});
    else if (warp < GROUP_HEADS) for (int d = lane; d < HD; d += 32) q[warp][d] = 0;
    else if (sp.fresh && warp < 6) {
        const int which = warp - 4;  // key, value
        rotate<HD>(a.qkv + (a.heads + which * a.kv_heads + sp.kv) * HD, fresh[which], which || !norms ? nullptr : norms + HD, which ? nullptr : rope, a.pairs, a.head_eps, Taken{});
        __syncwarp();
        append<HD, INT8>(fresh[which], stored + which * BYTES, &s.fresh_scale[which], 0);
        __syncwarp();
        const size_t at = head + s.position;
        if (lane < BYTES / 16) ((uint4*)((which ? a.v : a.k) + at * BYTES))[lane] = ((const uint4*)(stored + which * BYTES))[lane];
        if (INT8 && lane == 0) (which ? a.v_scale : a.k_scale)[at] = s.fresh_scale[which];
    }
    sync();

    const float root = 1.0f / sqrtf((float)HD);
    const int piece = lane % SHARE, sub = lane / SHARE;
    // The score of one position by SHARE lanes; its four heads end up in different ones.
    auto score = [&](const float (&qr)[GROUP_HEADS][EACH], const u8* row, float by, float* to, bool ok) {
        float dot[GROUP_HEADS] = {0, 0, 0, 0};
        u32 words[4];
        if (INT8) { const uint2 w = ((const uint2*)row)[piece]; words[0] = w.x; words[1] = w.y; }
        else { const uint4 w = ((const uint4*)row)[piece]; words[0] = w.x; words[1] = w.y; words[2] = w.z; words[3] = w.w; }
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const float e = INT8 ? element<true>(words[i / 4], i % 4) : element<false>(words[i / 2], i % 2);
#pragma unroll
            for (int h = 0; h < GROUP_HEADS; h++) dot[h] = fmaf(qr[h][i], e, dot[h]);
        }
        const bool up = piece & (SHARE / 2), up2 = piece & (SHARE / 4);
        float k0 = up ? dot[2] : dot[0], k1 = up ? dot[3] : dot[1];
        k0 += __shfl_xor_sync(~0u, up ? dot[0] : dot[2], SHARE / 2);
        k1 += __shfl_xor_sync(~0u, up ? dot[1] : dot[3], SHARE / 2);
        float keep = up2 ? k1 : k0;
        keep += __shfl_xor_sync(~0u, up2 ? k0 : k1, SHARE / 4);
#pragma unroll
        for (int o = SHARE / 8; o; o >>= 1) keep += __shfl_xor_sync(~0u, keep, o);
        if (ok && (piece & (SHARE / 4 - 1)) == 0) to[(up ? 2 : 0) + (up2 ? 1 : 0)] = keep * by;
    };
    const int count = sp.cached + sp.fresh;
    float qr[GROUP_HEADS][EACH];
#pragma unroll
    for (int h = 0; h < GROUP_HEADS; h++)
#pragma unroll
        for (int e = 0; e < EACH; e += 4) {
            const float4 v = *(const float4*)&q[h][piece * EACH + e];
            qr[h][e] = v.x; qr[h][e + 1] = v.y; qr[h][e + 2] = v.z; qr[h][e + 3] = v.w;
        }
    for (int at = 0; at < sp.cached; at += PER) {
        mbar_wait(&s.full[pipe.stage], pipe.parity);
        const u8* rows = ring + pipe.stage * STAGE_BYTES;
        const int n = min(PER, sp.cached - at);
        for (int p0 = warp * AT_ONCE; p0 < n; p0 += CONSUMERS * AT_ONCE) {
            const int p = min(p0 + sub, n - 1);
            score(qr, rows + p * BYTES, INT8 ? root * s.k_scale[at + p] : root, weight[at + p], p0 + sub < n);
        }
        __syncwarp();
        if (lane == 0) mbar_arrive(&s.empty[pipe.stage]);
        pipe.next();
    }
    if (sp.fresh && warp == CONSUMERS - 1) score(qr, stored, INT8 ? root * s.fresh_scale[0] : root, weight[sp.cached], sub == 0);
    sync();
    // Their weights, relative to the highest: a warp has a quarter of one head's positions.
    const int mine = warp & 3, quarter = warp >> 2;
    float most = NEG_INF;
    for (int p = quarter * 32 + lane; p < count; p += 128) most = fmaxf(most, weight[p][mine]);
    most = warp_max(most);
    if (lane == 0) ((float*)&s.peak[mine])[quarter] = most;
    sync();
    const float4 of = s.peak[mine];
    most = fmaxf(fmaxf(of.x, of.y), fmaxf(of.z, of.w));
    float mass = 0;
    for (int p = quarter * 32 + lane; p < count; p += 128) {
        const float e = expf(weight[p][mine] - most);
        mass += e;
        weight[p][mine] = !INT8 ? e : e * (p < sp.cached ? s.v_scale[p] : s.fresh_scale[1]);
    }
    mass = warp_sum(mass);
    if (lane == 0) ((float*)&s.mass[mine])[quarter] = mass;
    sync();
    float sum[GROUP_HEADS][DIMS];
#pragma unroll
    for (int h = 0; h < GROUP_HEADS; h++)
#pragma unroll
        for (int d = 0; d < DIMS; d++) sum[h][d] = 0;
    // One position's value: DIMS elements of the row a lane.
    auto value = [&](const u8* row, const float4& by) {
        u32 w[2] = {0, 0};
        const u8* at = row + lane * (BYTES / 32);
        if (BYTES / 32 == 2) w[0] = *(const u16*)at;
        else if (BYTES / 32 == 4) w[0] = *(const u32*)at;
        else { const uint2 two = *(const uint2*)at; w[0] = two.x; w[1] = two.y; }
#pragma unroll
        for (int d = 0; d < DIMS; d++) {
            const float x = INT8 ? element<true>(w[0], d) : element<false>(w[d / 2], d % 2);
            sum[0][d] = fmaf(by.x, x, sum[0][d]);
            sum[1][d] = fmaf(by.y, x, sum[1][d]);
            sum[2][d] = fmaf(by.z, x, sum[2][d]);
            sum[3][d] = fmaf(by.w, x, sum[3][d]);
        }
    };

    for (int at = 0; at < sp.cached; at += PER) {
        mbar_wait(&s.full[pipe.stage], pipe.parity);
        const u8* rows = ring + pipe.stage * STAGE_BYTES;
        const int n = min(PER, sp.cached - at);
#pragma unroll 4
        for (int p = warp; p < n; p += CONSUMERS) value(rows + p * BYTES, *(const float4*)weight[at + p]);
        __syncwarp();
        if (lane == 0) mbar_arrive(&s.empty[pipe.stage]);
        pipe.next();
    }
    if (sp.fresh && warp == 0) value(stored + BYTES, *(const float4*)weight[sp.cached]);

    sync();
    auto leave = [&](int w) {
#pragma unroll
        for (int h = 0; h < GROUP_HEADS; h++)
#pragma unroll
            for (int d = 0; d < DIMS; d++) gather[w][h * HD + lane * DIMS + d] = sum[h][d];
    };
    if (warp >= 8) leave(warp - 8);
    sync();
    if (warp < 8) {
#pragma unroll
        for (int h = 0; h < GROUP_HEADS; h++)
#pragma unroll
            for (int d = 0; d < DIMS; d++) sum[h][d] += gather[warp][h * HD + lane * DIMS + d];
        leave(warp);
    }
    sync();
    static_assert(GROUP_HEADS * HD <= THREADS, "a thread an output");
    const int h = tid / HD, d = tid - h * HD;
    float* out = a.attended + first * HD + tid;
    float* partial = a.partial + (size_t)sp.kv * a.splits * GROUP_HEADS * (HD + 2);
    if (tid >= GROUP_HEADS * HD) return;
    float4 sums = s.mass[h];
    float all = (sums.x + sums.y) + (sums.z + sums.w), mixed = 0;
#pragma unroll
    for (int w = 0; w < 8; w++) mixed += gather[w][tid];
    if (sp.used == 1) {
        if (h < group) put(out, mixed / all);
        return;
    }
    sums = s.peak[h];
    const float highest = fmaxf(fmaxf(sums.x, sums.y), fmaxf(sums.z, sums.w));
    if (sp.split) {
        float* to = partial + (sp.split * GROUP_HEADS + h) * (HD + 2);
        put(to + d, mixed);
        if (d == 0) {
            put(to + HD, highest);
            put(to + HD + 1, all);
        }
    } else if (h < group) {
        constexpr int BATCH = 5;  // splits asked for at once
        const float* from = partial + h * (HD + 2);
        constexpr int NEXT = GROUP_HEADS * (HD + 2);
        float m = highest;
        for (int p0 = 1; p0 < sp.used; p0 += BATCH) {
            float of[BATCH];
#pragma unroll
            for (int i = 0; i < BATCH; i++) of[i] = p0 + i < sp.used ? peek(from + (p0 + i) * NEXT + HD) : NEG_INF;
#pragma unroll
            for (int i = 0; i < BATCH; i++) {
                if (missing(of[i])) of[i] = take(from + (p0 + i) * NEXT + HD);
                m = fmaxf(m, of[i]);
            }
        }
        const float own = expf(highest - m);
        mixed *= own;
        all *= own;
        for (int p0 = 1; p0 < sp.used; p0 += BATCH) {
            float by[BATCH], value[BATCH], mass[BATCH];
#pragma unroll
            for (int i = 0; i < BATCH; i++) {
                const float* at = from + (p0 + i) * NEXT;
                const bool there = p0 + i < sp.used;
                by[i] = there ? peek(at + HD) : NEG_INF;
                value[i] = there ? peek(at + d) : 0.0f;
                mass[i] = there ? peek(at + HD + 1) : 0.0f;
            }
#pragma unroll
            for (int i = 0; i < BATCH; i++) {
                const float* at = from + (p0 + i) * NEXT;
                if (missing(value[i])) value[i] = take(at + d);
                if (missing(mass[i])) mass[i] = take(at + HD + 1);
                const float e = expf(by[i] - m);
                mixed = fmaf(e, value[i], mixed);
                all = fmaf(e, mass[i], all);
            }
        }
        put(out, mixed / all);
    }
}

// Asks for everything this block will use, in that order, as room comes up. One thread.
template <int HD, bool INT8> __device__ __forceinline__ void produce(const DecodeArgs& a, u8* ring, State& s) {
    constexpr int BYTES = HD * (INT8 ? 1 : 2);
    u64 policy;
    asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    Pipe pipe;
    auto stream = [&](const void* from, size_t bytes) {
        for (size_t at = 0; at < bytes; at += STAGE_BYTES) {
            const u32 part = (u32)min((size_t)STAGE_BYTES, bytes - at);
            mbar_wait(&s.empty[pipe.stage], pipe.parity ^ 1);
            mbar_expect(&s.full[pipe.stage], part);
            bulk(ring + pipe.stage * STAGE_BYTES, (const char*)from + at, part, &s.full[pipe.stage], policy);
            pipe.next();
        }
    };
    const int position = *(const volatile int*)a.start;
    for (int layer = 0; layer < a.layers; layer++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const Run r = s.run[i];
            const size_t tile = (size_t)a.of[i].tiles * 512;
            stream(s.layer[layer].w[i] + r.base * tile, r.mine * tile);
            if (i != QKV) continue;
            const Span sp = span_of(a, position);
            if (!sp.live) continue;
            const size_t head = (size_t)(layer * a.kv_heads + sp.kv) * a.context + sp.from;
            stream(a.k + head * BYTES, (size_t)sp.cached * BYTES);
            stream(a.v + head * BYTES, (size_t)sp.cached * BYTES);
        }
    }
}

template <int HD, bool INT8> __device__ __forceinline__ void decode(const DecodeArgs& a) {
    extern __shared__ __align__(128) u8 ring[];
    __shared__ State s;
    u8* area = ring + RING_STAGES * STAGE_BYTES;
    const int tid = threadIdx.x;
    if (tid == 0) {
        for (int i = 0; i < RING_STAGES; i++) {
            mbar_init(&s.full[i], 1);
            mbar_init(&s.empty[i], CONSUMERS);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    }
    for (int i = tid; i < a.layers * (int)(sizeof(Layer) / 8); i += blockDim.x) ((u64*)s.layer)[i] = __ldg((const u64*)a.layer + i);
    for (int i = tid; i < MAX_STRIPS * 16; i += blockDim.x) s.red[i] = 0;
    if (tid < 4) s.run[tid] = run_of(a.of[tid].strips);
    __syncthreads();
    if (tid >= THREADS) {
        if (tid == THREADS) produce<HD, INT8>(a, ring, s);
        return;
    }
    Pipe pipe;
    if (tid == 0) {
        s.position = *(const volatile int*)a.start;
        s.span = span_of(a, s.position);
        if (blockIdx.x == 0) *a.best = 0;
        // x has the rows of the output and of the down matrix: a block has the same ones throughout.
        const Run *r = s.run;
        const Span& p = s.span;
        const int rows = min(r[OUT].mine * 16, a.of[OUT].rows - r[OUT].base * 16), head = a.heads / a.kv_heads * HD;
        s.part[X] = {a.x + r[OUT].base * 16, rows};
        s.part[BETWEEN] = {a.between + r[OUT].base * 16, rows};
        s.part[QKV_ROWS] = {a.qkv + r[QKV].base * 16, min(r[QKV].mine * 16, a.of[QKV].rows - r[QKV].base * 16)};
        s.part[HIDDEN] = {a.hidden + r[GATE_UP].base * 8, min(r[GATE_UP].mine * 8, a.half - r[GATE_UP].base * 8)};
        s.part[ATTENDED] = {a.attended + p.kv * head, p.live && p.split == 0 ? head : 0};
        s.part[PARTIAL] = {a.partial + (p.kv * a.splits + p.split) * GROUP_HEADS * (HD + 2), p.live && p.split ? GROUP_HEADS * (HD + 2) : 0};
    }
    sync();
    for (int i = BETWEEN; i < RESULTS; i++) forget(s.part[i]);
    for (int i = tid; i < s.part[X].n; i += THREADS) put(s.part[X].at + i, s.residual[i] = weight_at(a.row, a.type, s.run[OUT].base * 16 + i));
    all_blocks(a.barrier);

    const int width = a.of[QKV].cols, none = 0x7fffffff;
    u32* row = (u32*)area;
    for (int layer = 0; layer < a.layers; layer++) {
        const Layer& l = s.layer[layer];
        const float* norm = a.norms + (size_t)layer * 2 * width;
        float by = quantize_row<true>(a.x, norm, a.eps, a.of[QKV], row, s);
        if (layer) forget(s.part[HIDDEN]);  // x is whole: all have read what it was made of
        multiply(a.of[QKV], s.run[QKV].mine, ring, row, s, pipe);
        finish<false>(a.of[QKV], s.run[QKV], a.qkv, a.end0, a.end1, l.scale, by, s);
        if (s.span.live) attend<HD, INT8>(a, layer, ring, area, s, pipe);
        by = quantize_row<false>(a.attended, nullptr, 0, a.of[OUT], row, s);
        forget(s.part[X]);
        forget(s.part[QKV_ROWS]);
        forget(s.part[PARTIAL]);
        multiply(a.of[OUT], s.run[OUT].mine, ring, row, s, pipe);
        finish<true>(a.of[OUT], s.run[OUT], a.between, none, none, l.scale + 3, by, s);
        by = quantize_row<true>(a.between, norm + width, a.eps, a.of[GATE_UP], row, s);
        forget(s.part[ATTENDED]);
        multiply(a.of[GATE_UP], s.run[GATE_UP].mine, ring, row, s, pipe);
        finish_swiglu(s.run[GATE_UP], a.hidden, a.half, l.scale + 4, by, s);
        by = quantize_row<false>(a.hidden, nullptr, 0, a.of[DOWN], row, s);
        forget(s.part[BETWEEN]);
        multiply(a.of[DOWN], s.run[DOWN].mine, ring, row, s, pipe);
        if (layer + 1 == a.layers) pdl_launch();
        finish<true>(a.of[DOWN], s.run[DOWN], a.x, none, none, l.scale + 6, by, s);
    }
    // The last block to leave clears the barrier: nobody looks at it any more.
    if (tid == 0 && atomicAdd(a.barrier + 1, 1) == gridDim.x - 1) a.barrier[0] = a.barrier[1] = 0;
}

#define DECODE(HD)                                                                                                                   \
    extern "C" __global__ void __launch_bounds__(THREADS + 32, 1) decode_f16_##HD(const DecodeArgs a) { decode<HD, false>(a); }      \
    extern "C" __global__ void __launch_bounds__(THREADS + 32, 1) decode_i8_##HD(const DecodeArgs a) { decode<HD, true>(a); }
DECODE(64)
DECODE(128)
