// Embedding lookup: x[i] = row of token i, decoded from the file's own blocks (INT4 and others, ternary ones included).
//
// Source: blocks.cuh. Errors: none, rows are the reference's to the bit.
// Shapes: table = rows of `row_bytes` bytes, x f32 [n, cols]. `ids` null: row i of the table belongs to token i (rows that
//   the host gathered from the mapped file). Host memory may stand in for device memory (read over the bus, once).
// Geometry: block (cols/256 rounded up, n), 256 threads, a weight each. Block (0, 0) also publishes the step's position.
// Reduction: none.
#include "common.cuh"
#include "blocks.cuh"

struct EmbedArgs {
    const u8* table;
    const int* ids;
    u64 row_bytes;
    float* x;
    const int* start;
    Step* step;
    int ty, cols;
};
AGREED(EmbedArgs)

extern "C" __global__ void __launch_bounds__(THREADS) embed(const EmbedArgs a) {
    int row = blockIdx.y, col = blockIdx.x * THREADS + threadIdx.x;
    if (row == 0 && col == 0 && a.step) a.step->start = *a.start;
    const u8* from = a.table + (u64)(a.ids ? a.ids[row] : row) * a.row_bytes;
    if (col < a.cols) a.x[(size_t)row * a.cols + col] = weight_at(from, a.ty, col);
    // Kernels after the next read the position before they wait: it must be out before any of them may start.
    __threadfence();
    __syncthreads();
    pdl_launch();
}
