// The part of the CUDA runtime that generated code uses, for execution on the CPU.
//
// A kernel launch becomes `cuda_host::launch(grid, block, stream, [=] { kernel(args); })` (see rewrite.ts). The threads of
// a block are fibers: each runs until a barrier or a shuffle, then the next one runs. See runtime.cpp for what is checked.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

typedef enum {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorStreamCaptureImplicit = 906,
} cudaError_t;
typedef enum {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
} cudaMemcpyKind;
typedef enum { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed } cudaStreamCaptureMode;
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2 };

namespace cuda_host {
struct Stream;
struct Event;
struct Graph;
}
typedef cuda_host::Stream* cudaStream_t;
typedef cuda_host::Event* cudaEvent_t;
typedef cuda_host::Graph* cudaGraph_t;
typedef cuda_host::Graph* cudaGraphExec_t;

struct uint3 { unsigned x, y, z; };
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

extern "C" {
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocHost(void** memory, size_t bytes);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaGetLastError(void);
const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);
}

namespace cuda_host {

/** A kernel with its arguments, or a copy: what a stream runs and a graph records. */
struct Work {
  virtual ~Work() {}
  virtual void run() = 0;
};

void launch(dim3 grid, dim3 block, cudaStream_t stream, const char* kernel, Work* kernelCall);

template <class Body>
void launch(dim3 grid, dim3 block, size_t, cudaStream_t stream, const char* kernel, Body body) {
  struct Call : Work {
    Body body;
    explicit Call(const Body& body) : body(body) {}
    void run() override { body(); }
  };
  launch(grid, block, stream, kernel, new Call(body));
}

void barrier(int line);
/** Gives 8 bytes to the other lanes and takes those of lane `from`. */
uint64_t shuffle(unsigned mask, uint64_t bits, int from, int line);
/** Fills a shared array with NaNs, once for each block. */
void freshShared(void* memory, size_t bytes);
int lane();

template <class T>
T shuffleXor(unsigned mask, T value, int lanes, int line) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  bits = shuffle(mask, bits, lane() ^ lanes, line);
  memcpy(&value, &bits, sizeof value);
  return value;
}

template <class To, class From>
To bitsAs(From from) {
  static_assert(sizeof(To) == sizeof(From), "the same width");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

}  // namespace cuda_host

#define __syncthreads() cuda_host::barrier(__LINE__)
#define __shfl_xor_sync(mask, value, lanes) cuda_host::shuffleXor(mask, value, lanes, __LINE__)

inline int __float_as_int(float a) { return cuda_host::bitsAs<int>(a); }
inline float __int_as_float(int a) { return cuda_host::bitsAs<float>(a); }
inline long long __double_as_longlong(double a) { return cuda_host::bitsAs<long long>(a); }
inline double __longlong_as_double(long long a) { return cuda_host::bitsAs<double>(a); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((uint64_t)a * b) >> 32); }

template <class T>
inline T min(T a, T b) { return b < a ? b : a; }
template <class T>
inline T max(T a, T b) { return a < b ? b : a; }
inline long long min(long long a, int b) { return min(a, (long long)b); }
inline long long max(long long a, int b) { return max(a, (long long)b); }
