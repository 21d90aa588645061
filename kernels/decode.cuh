// What the parts of decode.cu share: a launch's arguments, a block's state, how results go from block to block, and the
// stream of a warp's bytes. decode.cu says how they work together.
#pragma once
#include "heads.cuh"

#define THREADS (WARPS * 32)
#define QUAD 4                    // tiles that a warp has in registers
#define SLOT_TILES (2 * QUAD)
#define SLOT_BYTES (SLOT_TILES * 512)
#define SLOTS (RING_BYTES / SLOT_BYTES)  // of a warp's ring
#define AHEAD_BYTES 8192          // of a warp that may be on their way to the L2 beyond what its ring has asked for
#define PLAN_BYTES 2048           // that it sends on their way at once
// From the host: AREA_BYTES (the quantized row, or sums of attention on their way), SCRATCH_BYTES (of attention), MAX_STRIPS (of a
// block: a thread a row), MIN_SPAN (positions of a split).
static_assert(MAX_STRIPS * 16 <= THREADS, "a thread a row");
#define CHUNK 16                  // positions that a warp takes at once
#define NOTHING 0xffffffffu

enum { QKV, OUT, GATE_UP, DOWN };

struct Shape {
    int rows, cols, tiles, strips;
};
AGREED(Shape)
struct Layer {
    const u8* w[4];
    float scale[8];  // q, k, v; output; gate, up; down
};
AGREED(Layer)
struct DecodeArgs {
    const Layer* layer;
    const u8* row;  // the token's row of the embedding, in host memory
    // Results: layers take turns (turn_of, x_of).
    float* x[3];
    float* between[2];  // [width]: x between the two halves of a layer
    float* qkv[2];
    float* attended[2];
    float* hidden[2];
    float* partial[2];  // [KV head][split][4][hd + 2]
    const float* norms;       // [2·layer + which][width]
    const float* head_norms;  // [layer][2][hd], or null
    const float2* rope;
    char* k;
    char* v;
    float* k_scale;  // [layer][KV head][position], int8 only
    float* v_scale;
    u32* barrier;    // [2], 0 before and after
    const Shape* shapes;  // of the four matrices
    int width, layers, half, end0, end1;
    int heads, kv_heads, context, pairs, splits, ty;
    int position;
    float eps, head_eps;
};
AGREED(DecodeArgs)

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
enum { BETWEEN, QKV_ROWS, HIDDEN, ATTENDED, PARTIAL, RESULTS };
struct Part {
    float* at;
    int n;
};
// A warp's tiles of a matrix: the strip (of the block's) and tile of the first, their number, where they lie.
struct Tiles {
    int strip, tile, count;
    u32 offset;
    u32 quads;  // where strips are of whole quads: of a strip, up to the end of the first strip << 8, all << 16; else 0
};
// A warp's bytes of all layers in the order of their use: its tiles of a matrix, or a chunk of its keys or values, are a piece.
struct Stream {
    int layer, part, chunk, values;  // a matrix or KEYS of a layer; the chunk of positions, keys or values of it
    const char* at;
    u32 bytes;  // left of the piece; 0: the end
    u32 done;   // bytes, wrapping
};
// Where this block's keys and values are, as next_piece wants them.
struct Cache {
    const char *k, *v;  // of the span's first position in the first layer
    size_t layer_bytes;
    u32 row_bytes;
    int layers, cached;  // no positions in a block without a span
};
struct State {
    u64 full[WARPS][SLOTS];  // tell that a slot is
    Stream near[WARPS], far[WARPS];  // what the ring asks for next; what is sent on its way to the L2 next
    Tiles tiles[4][WARPS];
    double square[WARPS];
    float most[WARPS];
    int sum[WARPS];
    float peak[WARPS][GROUP_HEADS], mass[WARPS][GROUP_HEADS];
    float q_unit[GROUP_HEADS];
    float fresh_scale[2];
    float2 rope[64];
    double part_of_width;  // 1 / width
    Shape of[4];
    Run run[4];
    Part part[2][RESULTS];  // of those that layers use in turns
    Part x[3];
    Span span;
    Cache cache;
    int red[MAX_STRIPS * 16];
    Layer layer[MAX_LAYERS];
};

// This thread's number. (What follows from it is then computed where it is needed; the compiler would keep it all in registers, which
// are short.)
__device__ __forceinline__ int thread() {
    int t;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(t));
    return t;
}

// ---- barriers of shared memory, bulk copies ----
__device__ __forceinline__ void mbar_init(u64* b, u32 count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_at(b)), "r"(count) : "memory");
}
__device__ __forceinline__ void mbar_expect(u32 b, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(b), "r"(bytes) : "memory");
}
__device__ __forceinline__ bool mbar_done(u32 b, u32 parity) {
    u32 done;
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done) : "r"(b), "r"(parity) : "memory");
    return done;
}
// By a whole warp. (After a vote the compiler knows that all lanes go the same way.)
__device__ __forceinline__ void mbar_wait(u32 b, u32 parity) {
    for (u32 tries = 0; !__all_sync(~0u, mbar_done(b, parity));)
        if (++tries == 1u << 26) __trap();  // a fault of this file: an error is better than a device that hangs
}
__device__ __forceinline__ void bulk(u32 to, const void* from, u32 bytes, u32 b) {
    const u64 policy = 0x12f0000000000000;  // evict first, as createpolicy writes it
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;"
                 ::"r"(to), "l"(from), "r"(bytes), "r"(b), "l"(policy) : "memory");
}

__device__ __forceinline__ void bulk_l2(const void* from, u32 bytes) {
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from), "r"(bytes) : "memory");
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
// This block's part of a result that all have read; thread `i` of `n`.
__device__ __forceinline__ void forget(const Part& part, int i, int n) {
    for (; i < part.n; i += n) forget(part.at + i);
}
// Which results layer `layer` uses, and which x it begins with: the last one's results are the first ones.
__device__ __forceinline__ int turn_of(const DecodeArgs& a, int layer) { return (a.layers - 1 - layer) & 1; }
__device__ __forceinline__ int x_of(const DecodeArgs& a, int layer) { return (a.layers - layer) % 3; }

__device__ __forceinline__ Run run_of(int strips) {
    const u32 base = (u32)strips * blockIdx.x / gridDim.x;
    return {(int)base, (int)((u32)strips * (blockIdx.x + 1) / gridDim.x - base)};
}

__device__ __forceinline__ Span span_of(const DecodeArgs& a, int position) {
    Span s;
    s.kv = blockIdx.x / a.splits;
    s.split = blockIdx.x - s.kv * a.splits;
    const int len = position + 1, span = max(MIN_SPAN, ((len + a.splits - 1) / a.splits + 15) / 16 * 16);
    s.used = (len + span - 1) / span;
    s.live = s.kv < a.kv_heads && s.split < s.used;
    s.from = s.split * span;
    const int to = min(s.from + span, len);
    s.fresh = to == len;
    s.cached = s.fresh ? to - 1 - s.from : to - s.from;
    return s;
}

__device__ __forceinline__ float max_of(float v) {  // of floats that are not negative, over a warp
    return __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(v)));
}

// An address in shared memory that is kept: without this the compiler asks for the block's window at every use.
__device__ __forceinline__ u32 kept(const void* p) {
    u32 at;
    asm volatile("mov.u32 %0, %1;" : "=r"(at) : "r"(shared_at(p)));
    return at;
}
__device__ __forceinline__ uint4 shared4(u32 at) {
    uint4 v;
    asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(at) : "memory");
    return v;
}
__device__ __forceinline__ u32 shared1(u32 at) {
    u32 v;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(at) : "memory");
    return v;
}

// One lane of a whole warp, always the same. (Of a branch on this the compiler knows that one lane takes it; of a branch on the
// lane's number it does not, and would loop over lanes around every bulk copy.)
__device__ __forceinline__ bool elected() {
    u32 yes;
    asm volatile("{ .reg .pred p; elect.sync _|p, 0xffffffff; selp.u32 %0, 1, 0, p; }" : "=r"(yes));
    return yes;
}

// A number that is the same in all lanes, so that the compiler knows it.
__device__ __forceinline__ u32 uniform(u32 v) { return __reduce_max_sync(~0u, v); }
__device__ __forceinline__ int uniform(int v) { return (int)uniform((u32)v); }

enum { KEYS = 1, PARTS = 5 };

// The next piece there is.
__device__ __forceinline__ void next_piece(Stream& stream, const State& s, int warp) {
    Stream p = stream;
#pragma unroll 1
    while (p.layer < s.cache.layers) {
        if (p.part == KEYS) {
            const int left = s.cache.cached - p.chunk * CHUNK;
            if (left > 0) {
                p.at = (p.values ? s.cache.v : s.cache.k) + p.layer * s.cache.layer_bytes + (size_t)(p.chunk * CHUNK) * s.cache.row_bytes;
                p.bytes = min(CHUNK, left) * s.cache.row_bytes;
                if (p.values) p.chunk += WARPS;
                p.values ^= 1;
                break;
            }
        }
        if (++p.part == PARTS) {
            p.part = -1;
            p.layer++;
            continue;
        }
        if (p.part == KEYS) {
            p.chunk = warp;
            continue;
        }
        const int of = p.part ? p.part - 1 : 0;
        const Tiles& t = s.tiles[of][warp];
        p.at = (const char*)s.layer[p.layer].w[of] + t.offset;
        p.bytes = t.count * 512;
        if (p.bytes) break;
    }
    stream = p;
}

// A warp's ring of slots. A slot that has been used is asked for anew at once; what comes after that goes on its way to the L2 while
// other blocks' results are waited for (`idle`), so that memory has something to do then, and no more than it can do otherwise.
struct Ring {
    State& s;
    u32 slots, full;  // addresses in shared memory
    int warp;
    u32 slot = 0, parity = 0;

    __device__ __forceinline__ Ring(State& s, u8* rings) : s(s), warp(threadIdx.x >> 5) {
        slots = kept(rings + warp * RING_BYTES);
        full = kept(s.full[warp]);
        if (elected()) {
            for (int i = 0; i < SLOTS; i++) mbar_init(&s.full[warp][i], 1);
            asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
            asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
            s.near[warp] = {0, -1, 0, 0, nullptr, 0, 0};
            next_piece(s.near[warp], s, warp);
            s.far[warp] = s.near[warp];
#pragma unroll 1
            for (int i = 0; i < SLOTS; i++) ask(i);
        }
        __syncwarp();
    }
    // Past the next bytes of a piece.
    __device__ __forceinline__ void step(Stream& p, u32 n) {
        p.at += n;
        p.done += n;
        if (!(p.bytes -= n)) next_piece(p, s, warp);
    }
    // Fills a slot. By one lane.
    __device__ __forceinline__ void ask(u32 slot) {
        Stream& near = s.near[warp];
        const u32 n = min(near.bytes, (u32)SLOT_BYTES);
        if (!n) return;
        mbar_expect(full + slot * 8, n);
        bulk(slots + slot * SLOT_BYTES, near.at, n, full + slot * 8);
        step(near, n);
    }
    // For every time that something has to be waited for.
    __device__ __forceinline__ void idle() {
        if (elected()) {
            Stream& far = s.far[warp];
            const u32 near = s.near[warp].done;
            // What the ring has asked for meanwhile needs no help.
            for (bool ahead = false; !ahead && far.bytes && (int)(far.done - near) < AHEAD_BYTES;) {
                const u32 n = min(far.bytes, (u32)PLAN_BYTES);
                ahead = (int)(far.done - near) >= 0;
                if (ahead) bulk_l2(far.at, n);
                step(far, n);
            }
        }
        __syncwarp();
    }
    // The next slot's address in shared memory.
    __device__ __forceinline__ u32 wait() {
        mbar_wait(full + slot * 8, parity);
        return slots + slot * SLOT_BYTES;
    }
    // All lanes have what they need of the slot.
    __device__ __forceinline__ void used() {
        __syncwarp();
        if (elected()) ask(slot);
        if (++slot == SLOTS) { slot = 0; parity ^= 1; }
    }
};
