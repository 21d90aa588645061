// The top K of logits, in order: what sampling needs of them, so that 512 bytes are copied to the host in place of all.
//
// Source: bitonic sorting, K. E. Batcher, "Sorting networks and their applications", AFIPS 1968. Errors: none, it is exact.
// Shapes: logits f32 [n]; lists u64 [slices][K]; top u64 [K]. An entry is the logit, made comparable as an integer, over the
//   inverted token (head.cu's `comparable`): descending, of equal logits the lower token first; 0 where there is none, and NaN
//   is never one.
// Geometry: `topk_slices`: a block of 1,024 threads for 2,048 logits each, which it sorts. `topk_merge`: one block of 1,024
//   threads, all lists in shared memory, two and two into one until one is left. A power of two of lists, the missing ones empty.
// Reduction order: none; entries are all different.
#include "common.cuh"

extern __shared__ u64 lists[];

struct TopkArgs {
    const float* logits;
    u64* lists;
    u64* top;
    int n, slices;
};
AGREED(TopkArgs)
static_assert(SLICE == 2 * THREADS, "a thread orders a pair");

__device__ __forceinline__ u64 entry(float logit, int token) {
    u32 b = __float_as_uint(logit);
    b = b & 0x80000000u ? ~b : b | 0x80000000u;
    return logit == logit ? (u64)b << 32 | (u32)~token : 0;
}

// Entries i and j, i before j: the greater first, or last.
__device__ __forceinline__ void order(u64* of, int i, int j, bool descending) {
    const u64 a = of[i], b = of[j];
    if ((a < b) == descending) { of[i] = b; of[j] = a; }
}

extern "C" __global__ void __launch_bounds__(THREADS) topk_slices(const TopkArgs a) {
    __shared__ u64 keys[SLICE];
    pdl_launch();
    pdl_wait();
    const int first = blockIdx.x * SLICE, tid = threadIdx.x;
    for (int i = tid; i < SLICE; i += THREADS) keys[i] = first + i < a.n ? entry(__ldcg(a.logits + first + i), first + i) : 0;
    // A bitonic sort, a pair a thread and step.
    for (int run = 2; run <= SLICE; run *= 2)
        for (int apart = run / 2; apart; apart /= 2) {
            __syncthreads();
            const int i = 2 * tid - (tid & apart - 1);
            order(keys, i, i + apart, (i & run) == 0);
        }
    __syncthreads();
    if (tid < K) a.lists[(size_t)blockIdx.x * K + tid] = keys[tid];
}

extern "C" __global__ void __launch_bounds__(THREADS) topk_merge(const TopkArgs a) {
    pdl_launch();
    pdl_wait();
    const int tid = threadIdx.x;
    int count = 1;
    while (count < a.slices) count *= 2;
    for (int i = tid; i < count * K; i += THREADS) lists[i] = i < a.slices * K ? __ldcg(a.lists + i) : 0;
    for (; count > 1; count /= 2) {
        // The greater of a list forwards and another backwards are the first K of both, rising and then falling or the other way.
        const int half = count / 2 * K;
        __syncthreads();
        for (int i = tid; i < half; i += THREADS) {
            const u64 x = lists[i], y = lists[half + (i & ~(K - 1)) + (K - 1 - (i & (K - 1)))];
            lists[i] = x > y ? x : y;
        }
        for (int apart = K / 2; apart; apart /= 2) {
            __syncthreads();
            for (int p = tid; p < half / 2; p += THREADS) {
                const int i = 2 * p - (p & apart - 1);
                order(lists, i, i + apart, true);
            }
        }
    }
    __syncthreads();
    if (tid < K) a.top[tid] = lists[tid];
}
