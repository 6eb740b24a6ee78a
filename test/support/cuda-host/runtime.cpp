// The CUDA runtime on the CPU: streams run at once, captures record, kernels run as fibers, mistakes are reported.
//
// Checked: writes outside allocations (canaries), reads of memory never written (fresh memory is NaN), barriers and
// shuffles that not all threads reach, results that depend on the order of blocks or threads (it is shuffled; the seed is
// in every message and can be set by GRADC_CUDA_HOST_SEED), launch limits, the direction of copies, and calls that a
// capture forbids. A failure stays with its stream, and
// cudaGetErrorString tells it.
#include "cuda_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#ifndef __x86_64__
#include <ucontext.h>
#endif

#include <map>
#include <memory>
#include <string>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cuda_host {

static cudaError_t lastError = cudaSuccess;
/** What the kernel that runs, or ran last, did wrong. */
static cudaError_t kernelError = cudaSuccess;
static std::string failure;

static uint64_t firstSeed() {
  const char* given = getenv("GRADC_CUDA_HOST_SEED");
  return given ? strtoull(given, nullptr, 10) : (uint64_t)time(nullptr);
}
static const uint64_t seed = firstSeed();

static cudaError_t set(cudaError_t error) {
  if (error != cudaSuccess) lastError = error;
  return error;
}

static void fail(const std::string& what) {
  if (kernelError != cudaSuccess) return;
  failure = what + " (seed " + std::to_string(seed) + ")";
  kernelError = lastError = cudaErrorLaunchFailure;
}

// ── memory ──

static const size_t margin = 4096;
static const int canary = 0xA5;
static std::map<char*, size_t> deviceMemory, pinnedMemory;

static bool within(const std::map<char*, size_t>& memory, const void* at, size_t bytes) {
  auto after = memory.upper_bound((char*)at);
  if (after == memory.begin()) return false;
  const auto& [start, size] = *--after;
  return (char*)at + bytes <= start + size;
}

static cudaError_t allocate(std::map<char*, size_t>& memory, void** out, size_t bytes) {
  char* block = (char*)aligned_alloc(256, (bytes + 2 * margin + 255) / 256 * 256);
  if (block == nullptr) return set(cudaErrorMemoryAllocation);
  memset(block, canary, margin);
  memset(block + margin, 0xFF, bytes);
  memset(block + margin + bytes, canary, margin);
  memory[block + margin] = bytes;
  *out = block + margin;
  return cudaSuccess;
}

static bool intact(const char* from) {
  for (size_t i = 0; i < margin; ++i) if ((unsigned char)from[i] != canary) return false;
  return true;
}

static void checkCanaries(const std::string& after) {
  for (const auto& [start, bytes] : deviceMemory) {
    if (!intact(start - margin)) fail(after + " wrote before the start of its memory");
    if (!intact(start + bytes)) fail(after + " wrote past the end of its memory");
  }
}

static cudaError_t release(std::map<char*, size_t>& memory, void* at) {
  if (at == nullptr) return cudaSuccess;
  checkCanaries("something");
  if (memory.erase((char*)at) == 0) return set(cudaErrorInvalidValue);
  free((char*)at - margin);
  return cudaSuccess;
}

// ── the threads of a block ──

enum class State { fresh, ready, atBarrier, atShuffle, done };

static const size_t stackBytes = 512 * 1024;

struct Fiber {
  State state = State::fresh;
  int line = 0;
  char* stack = nullptr;
#ifdef __x86_64__
  void* top = nullptr;
#else
  ucontext_t context;
#endif
};

struct Warp {
  uint64_t values[2][32];
  unsigned arrived[2];
  unsigned mask[2];
  int line[2];
  int generation[2];
  int next[32];
};

static std::vector<Fiber> fibers;
static std::vector<Warp> warps;
static std::vector<char*> idleStacks;
static std::vector<void*> sharedArrays;
static Work* kernelCall;
static std::string kernelName;
static int current;
static Fiber scheduler;

#ifdef __x86_64__
// Saves the callee-saved registers on the stack, stores the stack pointer, and takes up another stack.
extern "C" void cuda_host_switch(void** save, void* load);
asm(R"(
  .text
  .hidden cuda_host_switch
  .globl cuda_host_switch
cuda_host_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
static void switchFibers(Fiber& from, Fiber& to) { cuda_host_switch(&from.top, to.top); }
static void prepare(Fiber& fiber, void (*entry)()) {
  void** top = (void**)(fiber.stack + stackBytes);
  *--top = nullptr;
  *--top = (void*)entry;
  top -= 6;
  fiber.top = top;
}
#else
static void switchFibers(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }
static void prepare(Fiber& fiber, void (*entry)()) {
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack;
  fiber.context.uc_stack.ss_size = stackBytes;
  makecontext(&fiber.context, entry, 0);
}
#endif

static void yield(State state, int line) {
  Fiber& self = fibers[current];
  self.state = state;
  self.line = line;
  switchFibers(self, scheduler);
}

static void threadMain() {
  kernelCall->run();
  yield(State::done, 0);
}

static char* takeStack() {
  if (!idleStacks.empty()) {
    char* stack = idleStacks.back();
    idleStacks.pop_back();
    return stack;
  }
  return (char*)mmap(nullptr, stackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static void resume(int thread) {
  Fiber& fiber = fibers[thread];
  if (fiber.state == State::fresh) {
    fiber.stack = takeStack();
    prepare(fiber, threadMain);
  }
  current = thread;
  const unsigned t = thread;
  threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
  switchFibers(scheduler, fiber);
  if (fiber.state == State::done) {
    idleStacks.push_back(fiber.stack);
    fiber.stack = nullptr;
  }
}

static std::string blockName() {
  return kernelName + ", block (" + std::to_string(blockIdx.x) + ", " + std::to_string(blockIdx.y) + ", " + std::to_string(blockIdx.z) + ")";
}

/** All threads wait: opens the barrier if every one has reached the same, reports divergence otherwise. */
static bool openBarrier() {
  int line = 0;
  for (const Fiber& fiber : fibers) {
    if (fiber.state == State::atShuffle) {
      fail(blockName() + ": a shuffle in line " + std::to_string(fiber.line) + " is not reached by every lane of its mask");
      return false;
    }
    if (fiber.state == State::done || (line != 0 && fiber.line != line)) {
      const int at = line ? line : fiber.line;
      fail(blockName() + ": divergent barrier: some threads wait in line " + std::to_string(at ? at : fibers.back().line) + ", others do not");
      return false;
    }
    line = fiber.line;
  }
  for (Fiber& fiber : fibers) fiber.state = State::ready;
  return true;
}

static uint64_t randomState = seed * 0x9E3779B97F4A7C15u + 1;
static uint64_t randomBelow(uint64_t bound) {
  randomState ^= randomState << 13;
  randomState ^= randomState >> 7;
  randomState ^= randomState << 17;
  return randomState % bound;
}
static void shuffleOrder(std::vector<unsigned>& order) {
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[randomBelow(i)]);
}

static void runBlock(const std::vector<unsigned>& order) {
  for (Fiber& fiber : fibers) fiber.state = State::fresh;
  for (Warp& warp : warps) memset(&warp, 0, sizeof warp);
  sharedArrays.clear();
  while (kernelError == cudaSuccess) {
    bool ran = false, allDone = true;
    for (const unsigned thread : order) {
      const State state = fibers[thread].state;
      if (state == State::fresh || state == State::ready) {
        resume(thread);
        ran = true;
      }
      allDone &= fibers[thread].state == State::done;
    }
    if (allDone) return;
    if (!ran && !openBarrier()) return;
  }
}

static void runKernel(dim3 grid, dim3 block, const std::string& name, Work* call) {
  gridDim = grid;
  blockDim = block;
  kernelCall = call;
  kernelName = name;
  const unsigned threads = block.x * block.y * block.z;
  fibers.assign(threads, Fiber());
  warps.resize((threads + 31) / 32);
  std::vector<unsigned> threadOrder(threads), blockOrder(grid.x * grid.y * grid.z);
  for (unsigned i = 0; i < threads; ++i) threadOrder[i] = i;
  for (unsigned i = 0; i < blockOrder.size(); ++i) blockOrder[i] = i;
  shuffleOrder(blockOrder);
  shuffleOrder(threadOrder);
  for (const unsigned b : blockOrder) {
    blockIdx = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
    runBlock(threadOrder);
    if (kernelError != cudaSuccess) return;
  }
  checkCanaries(name);
}

int lane() { return current % 32; }

void barrier(int line) { yield(State::atBarrier, line); }

uint64_t shuffle(unsigned mask, uint64_t bits, int from, int line) {
  Warp& warp = warps[current / 32];
  const int self = lane();
  const int generation = ++warp.next[self];
  const int slot = generation & 1;
  if (warp.generation[slot] != generation) {
    warp.generation[slot] = generation;
    warp.arrived[slot] = 0;
    warp.mask[slot] = mask;
    warp.line[slot] = line;
  }
  if (warp.mask[slot] != mask || warp.line[slot] != line || !(mask >> self & 1))
    fail(blockName() + ": divergent shuffle in line " + std::to_string(line));
  warp.values[slot][self] = bits;
  warp.arrived[slot] |= 1u << self;
  if (warp.arrived[slot] == mask) {
    const size_t first = current / 32 * 32;
    for (size_t i = first; i < first + 32 && i < fibers.size(); ++i)
      if (fibers[i].state == State::atShuffle) fibers[i].state = State::ready;
  } else {
    yield(State::atShuffle, line);
  }
  if (!(mask >> from & 1)) fail(blockName() + ": a shuffle in line " + std::to_string(line) + " reads a lane outside its mask");
  return warp.values[slot][from];
}

void freshShared(void* memory, size_t bytes) {
  for (const void* known : sharedArrays) if (known == memory) return;
  sharedArrays.push_back(memory);
  memset(memory, 0xFF, bytes);
}

// ── streams and graphs ──

struct Graph {
  std::vector<std::shared_ptr<Work>> work;
};
struct Stream {
  std::unique_ptr<Graph> capture;
  bool invalid = false;
  /** Once work of a stream has failed, nothing runs on it any more. */
  cudaError_t error = cudaSuccess;
};
struct Event {};

static int capturing = 0;

static Stream defaultStream;

static cudaError_t runOn(Stream* given, Work& work) {
  Stream& stream = given ? *given : defaultStream;
  if (stream.error != cudaSuccess) return stream.error;
  kernelError = cudaSuccess;
  work.run();
  return stream.error = kernelError;
}

static cudaError_t enqueue(Stream* stream, Work* work) {
  std::shared_ptr<Work> owned(work);
  if (stream == nullptr || !stream->capture) return runOn(stream, *owned);
  stream->capture->work.push_back(owned);
  return cudaSuccess;
}

/** What a capture forbids invalidates it. */
static bool forbidden(Stream* stream) {
  if (stream == nullptr || !stream->capture) return false;
  stream->invalid = true;
  set(cudaErrorStreamCaptureUnsupported);
  return true;
}

struct KernelWork : Work {
  dim3 grid, block;
  std::string name;
  std::unique_ptr<Work> call;
  KernelWork(dim3 grid, dim3 block, const char* name, Work* call) : grid(grid), block(block), name(name), call(call) {}
  void run() override { runKernel(grid, block, name, call.get()); }
};

void launch(dim3 grid, dim3 block, cudaStream_t stream, const char* kernel, Work* call) {
  const unsigned long long threads = (unsigned long long)block.x * block.y * block.z;
  const bool legal = threads >= 1 && threads <= 1024 && grid.x >= 1 && grid.x <= 2147483647u && grid.y >= 1 &&
                     grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535;
  if (!legal) {
    delete call;
    set(cudaErrorInvalidConfiguration);
    return;
  }
  enqueue(stream, new KernelWork(grid, block, kernel, call));
}

struct CopyWork : Work {
  void* to;
  const void* from;
  size_t bytes;
  CopyWork(void* to, const void* from, size_t bytes) : to(to), from(from), bytes(bytes) {}
  void run() override { memmove(to, from, bytes); }
};
struct FillWork : Work {
  void* to;
  int value;
  size_t bytes;
  FillWork(void* to, int value, size_t bytes) : to(to), value(value), bytes(bytes) {}
  void run() override { memset(to, value, bytes); }
};

/** Whether a pointer is on the side that a copy says. */
static bool onSide(const void* at, size_t bytes, bool device) {
  return device ? within(deviceMemory, at, bytes) : !within(deviceMemory, at, 1);
}

}  // namespace cuda_host

using namespace cuda_host;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) { return set(device == 0 ? cudaSuccess : cudaErrorInvalidDevice); }

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  if (capturing > 0) return set(cudaErrorStreamCaptureUnsupported);
  return allocate(deviceMemory, memory, bytes);
}
cudaError_t cudaFree(void* memory) { return release(deviceMemory, memory); }
cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  if (capturing > 0) return set(cudaErrorStreamCaptureUnsupported);
  return allocate(pinnedMemory, memory, bytes);
}
cudaError_t cudaFreeHost(void* memory) { return release(pinnedMemory, memory); }

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const bool toDevice = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool fromDevice = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDefault && !(onSide(to, bytes, toDevice) && onSide(from, bytes, fromDevice))) return set(cudaErrorInvalidValue);
  return set(enqueue(stream, new CopyWork(to, from, bytes)));
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  if (!onSide(memory, bytes, true)) return set(cudaErrorInvalidValue);
  return set(enqueue(stream, new FillWork(memory, value, bytes)));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new Stream();
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (forbidden(stream)) return cudaErrorStreamCaptureUnsupported;
  return set(stream ? stream->error : defaultStream.error);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream == nullptr || stream->capture) return set(cudaErrorStreamCaptureUnsupported);
  stream->capture.reset(new Graph());
  stream->invalid = false;
  ++capturing;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (stream == nullptr || !stream->capture) return set(cudaErrorInvalidValue);
  --capturing;
  Graph* recorded = stream->capture.release();
  *graph = stream->invalid ? nullptr : recorded;
  if (!stream->invalid) return cudaSuccess;
  delete recorded;
  return set(cudaErrorStreamCaptureInvalidated);
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new Graph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  cudaError_t error = cudaSuccess;
  for (const auto& work : exec->work) error = runOn(stream, *work);
  return set(error);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new Event();
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaGetLastError(void) {
  const cudaError_t error = lastError;
  lastError = cudaSuccess;
  return error;
}
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorStreamCaptureImplicit: return "cudaErrorStreamCaptureImplicit";
  }
  return "unknown error";
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorLaunchFailure && !failure.empty() ? failure.c_str() : cudaGetErrorName(error);
}

// For tests: device memory that JavaScript can look into.
__attribute__((visibility("default"))) void* cuda_host_device_memory(size_t bytes) {
  void* memory = nullptr;
  return cudaMalloc(&memory, bytes) == cudaSuccess ? memory : nullptr;
}
}
