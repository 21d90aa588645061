// Rows to int8: RMSNorm + quantize, quantize alone, SwiGLU + quantize.
//
// v = x · r · w (r = 1/√(mean x² + eps), f64 until rounded once), or v = x, or v = g/(1 + e^−g)·u;
// s = 127/max(|v|, 1e-5), q = round_half_even(v·s), scale = max/127; also the sum of the row and of each 64 columns.
// Source: activation_quant of the "Training Tips, Code and FAQ" to arXiv:2402.17764 (microsoft/unilm, bitnet); RMSNorm
//   arXiv:1910.07467; SwiGLU arXiv:2002.05202.
// Errors: an integer next to a tie may be one off the reference's where a float before it rounds the other way; scales 3e-7 apart.
// Shapes: x f32 [n, xstride], q int8 [n, qstride] (columns behind the last stay 0), scale f32 [n], sums i32 [n, sums_stride].
// Geometry: a block of 256 threads a row; three passes over the row, which lies in L1 after the first.
// Reduction order: a thread's columns in order, then a butterfly over the warp, then warps in order.
#include "common.cuh"

struct QuantArgs {
    const float* x;
    const float* norm;
    i8* q;
    float* scale;
    int* sums;
    int cols, xstride, qstride, sums_stride;
    float eps;
};
AGREED(QuantArgs)

enum { PLAIN, NORM, SWIGLU };

__device__ __forceinline__ float swiglu(float g, float u) { return g / (1.0f + expf(-g)) * u; }

template <int MODE> __device__ __forceinline__ void quantize(const QuantArgs& a) {
    __shared__ double scratch[32];
    __shared__ int total;
    const float* x = a.x + (size_t)blockIdx.x * a.xstride;
    const int fours = a.cols / 4;
    pdl_launch();
    if (threadIdx.x == 0) total = 0;
    pdl_wait();
    float r = 0;
    if (MODE == NORM) {
        double square = 0;
        for (int i = threadIdx.x; i < fours; i += THREADS) {
            float4 v = ((const float4*)x)[i];
            square = fma((double)v.x, (double)v.x, square);
            square = fma((double)v.y, (double)v.y, square);
            square = fma((double)v.z, (double)v.z, square);
            square = fma((double)v.w, (double)v.w, square);
        }
        r = block_rms<THREADS / 32>(square, a.cols, a.eps, scratch);
    }
    auto at = [&](int i) {
        float4 v = ((const float4*)x)[i];
        if (MODE == NORM) {
            float4 w = ((const float4*)a.norm)[i];
            return make_float4(v.x * r * w.x, v.y * r * w.y, v.z * r * w.z, v.w * r * w.w);
        }
        if (MODE == SWIGLU) {
            float4 u = ((const float4*)(x + a.cols))[i];
            return make_float4(swiglu(v.x, u.x), swiglu(v.y, u.y), swiglu(v.z, u.z), swiglu(v.w, u.w));
        }
        return v;
    };
    float most = MIN_ABSMAX;
    for (int i = threadIdx.x; i < fours; i += THREADS) most = fmaxf(most, absmax4(at(i)));
    __syncthreads();
    most = block_max<THREADS / 32>(most, scratch);
    float s = 127.0f / most;
    u32* q = (u32*)(a.q + (size_t)blockIdx.x * a.qstride);
    int* sums = a.sums + (size_t)blockIdx.x * a.sums_stride;
    int sum = 0;
    const int whole = (fours + 15) / 16 * 16;  // 16 lanes hold 64 columns
    for (int i = threadIdx.x; i < (whole + THREADS - 1) / THREADS * THREADS; i += THREADS) {
        int four = 0;
        if (i < fours) {
            u32 v = quantize4(at(i), s);
            q[i] = v;
            four = __dp4a((int)v, 0x01010101, 0);
        }
        for (int o = 8; o; o >>= 1) four += __shfl_xor_sync(~0u, four, o);
        if ((threadIdx.x & 15) == 0 && i < whole) { sums[1 + i / 16] = four; sum += four; }
    }
    if ((threadIdx.x & 15) == 0) atomicAdd(&total, sum);
    __syncthreads();
    if (threadIdx.x == 0) {
        sums[0] = total;
        a.scale[blockIdx.x] = most / 127.0f;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) quantize_plain(const QuantArgs a) { quantize<PLAIN>(a); }
extern "C" __global__ void __launch_bounds__(THREADS) quantize_norm(const QuantArgs a) { quantize<NORM>(a); }
extern "C" __global__ void __launch_bounds__(THREADS) quantize_swiglu(const QuantArgs a) { quantize<SWIGLU>(a); }
