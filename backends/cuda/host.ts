/**
 * The host side of a generated model: one `.cu` with kernels, entries and a plain C interface, and its header.
 *
 * A model handle owns one non-blocking stream, one arena in which every tensor has its planned place, pinned staging for
 * inputs and outputs, and for each entry a CUDA graph, captured at the first call. Every function returns a cudaError_t as
 * int; nothing aborts, and `last_error` says what failed.
 */
import { bytesOf, type DType, tableOfReals } from '../../compiler/ir/dtype.js';
import type { Buffer, Kernel } from '../../compiler/ir/kernel.js';
import {
  type Address,
  allLaunches,
  blocksOf,
  type EntryProgram,
  isLaunch,
  isLoop,
  type Launch,
  type Loop,
  type Program,
  type Slot,
  type Step,
} from '../../compiler/ir/program.js';
import { type EmittedKernel, emitKernel } from './emit.js';
import { helpersUsedBy } from './helpers.js';
import { identifier, NameScope } from './names.js';
import { storageType } from './scalar.js';

/** Raised when the meaning of a function of the C interface changes. */
export const abiVersion = 1;

/** Element types in the C header, which knows nothing of CUDA; 16-bit floats are their bits. */
const headerType = tableOfReals({
  bool: 'uint8_t',
  uint8: 'uint8_t',
  int8: 'int8_t',
  int16: 'int16_t',
  int32: 'int32_t',
  int64: 'int64_t',
  float16: 'uint16_t',
  bfloat16: 'uint16_t',
  float32: 'float',
  float64: 'double',
});

const align = (bytes: number): number => Math.ceil(bytes / 64) * 64;
const elements = (slot: Slot): number => slot.type.shape.reduce((product, size) => product * size, 1);
const bytes = (slot: Slot): number => elements(slot) * bytesOf(slot.type.dtype);
const describe = (slot: Slot): string => `${slot.type.dtype}[${slot.type.shape.join(', ')}]`;

/** A tensor of an entry's interface: its C name, and its place in the pinned staging memory. */
interface Port {
  readonly slot: Slot;
  readonly name: string;
  readonly staging: number;
}
interface Entry {
  readonly program: EntryProgram;
  readonly name: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly stagingBytes: number;
}

/** Names that the C interface takes for itself; an entry of that name gets an underscore at its end. */
const interfaceNames = new Set(
  'abi_version probe create destroy load_state save_state run sync last_error error_name input_info output_info workspace_bytes options tensor'.split(
    ' ',
  ),
);
const entrySymbol = (name: string): string =>
  interfaceNames.has(identifier(name)) ? `${identifier(name)}_` : identifier(name);

function entriesOf(program: Program): Entry[] {
  return program.entries.map(entry => {
    const ports = new NameScope();
    for (const taken of ['m', 'error']) ports.claim(taken);
    let staging = 0;
    const place = (slot: Slot): Port => {
      const port = { slot, name: ports.claim(slot.name), staging };
      staging += align(bytes(slot));
      return port;
    };
    const inputs = entry.inputs.map(place);
    const outputs = entry.outputs.map(place);
    return { program: entry, name: entrySymbol(entry.name), inputs, outputs, stagingBytes: staging };
  });
}

// ── header ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

const parameters = (entry: Entry): string[] => [
  ...entry.inputs.map(port => `const ${headerType[port.slot.type.dtype]}* ${port.name}`),
  ...entry.outputs.map(port => `${headerType[port.slot.type.dtype]}* ${port.name}`),
];
const portDoc = (ports: readonly Port[]): string =>
  ports.map(port => `${port.name} ${describe(port.slot)}`).join(', ') || 'nothing';

export function emitHeader(program: Program): string {
  const model = identifier(program.name);
  const api = `${model.toUpperCase()}_API`;
  const entries = entriesOf(program).map(
    (entry, i) => `/* Entry ${i}, ${entry.program.name}: ${portDoc(entry.inputs)} -> ${portDoc(entry.outputs)}. */
${api} int ${model}_${entry.name}(${[`${model}* model`, ...parameters(entry)].join(', ')});
${api} int ${model}_${entry.name}_device(${[`${model}* model`, ...parameters(entry), 'void* stream'].join(', ')});
`,
  );
  return `/*
 * ${program.name}: compiled by gradc.
 *
 * Every function that returns int returns a cudaError_t, 0 for success. One model is used by one thread at a time.
 * Entries take inputs, then outputs. The plain form takes host memory and returns when the outputs are there; the
 * _device form takes device memory and returns when the work is queued on \`stream\` (a cudaStream_t; NULL is the model's own).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define ${api} __declspec(dllexport)
#else
#define ${api} __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ${model} ${model};

typedef struct {
  int device;     /* which GPU */
  int use_graphs; /* 1: replay each entry as one CUDA graph; 0: launch kernel by kernel */
} ${model}_options;

typedef struct {
  const char* name;
  const char* dtype;
  int dims;
  const int64_t* shape;
  size_t bytes;
} ${model}_tensor;

${api} int ${model}_abi_version(void);
/* The number of usable GPUs; an error and 0 where there is no driver (35) or no GPU (100). */
${api} int ${model}_probe(int* devices);
/* options may be NULL: device 0, with graphs. */
${api} int ${model}_create(const ${model}_options* options, ${model}** model);
${api} int ${model}_destroy(${model}* model);
/* The state: ${program.state.length} tensors, ${program.stateBytes} bytes, laid out as the data section of the state file. */
${api} int ${model}_load_state(${model}* model, const void* bytes, size_t size);
${api} int ${model}_save_state(${model}* model, void* bytes, size_t size);
/* An entry by its number, for callers that do not know its signature: one host pointer for each input and each output. */
${api} int ${model}_run(${model}* model, int entry, const void* const* inputs, void* const* outputs);
${api} int ${model}_sync(${model}* model);
/* What failed last, for people; empty if nothing did. A NULL model asks about create. */
${api} const char* ${model}_last_error(const ${model}* model);
${api} const char* ${model}_error_name(int error);
${api} int ${model}_input_info(int entry, int input, ${model}_tensor* info);
${api} int ${model}_output_info(int entry, int output, ${model}_tensor* info);
/* Bytes of device memory that a model takes. */
${api} size_t ${model}_workspace_bytes(void);

${entries.join('\n')}
#ifdef __cplusplus
}
#endif
`;
}

// ── kernels ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Parameters of a kernel whose memory overlaps that of another parameter in some launch. */
function aliasedParams(launches: readonly Launch[]): Set<Buffer> {
  const aliased = new Set<Buffer>();
  for (const { kernel, args } of launches) {
    const ranges = kernel.params.map(({ buffer }, i) => ({
      buffer,
      from: args[i],
      to: args[i] + buffer.size * bytesOf(buffer.dtype),
    }));
    for (const a of ranges) {
      if (ranges.some(b => a !== b && a.from < b.to && b.from < a.to)) aliased.add(a.buffer);
    }
  }
  return aliased;
}

/** The shapes of parameters that are state, inputs or outputs; of the others only the size is known. */
function describeParams(program: Program, launches: readonly Launch[]): (buffer: Buffer) => string {
  const ports = program.entries.flatMap(entry => [...entry.inputs, ...entry.outputs]);
  const slots = new Map(
    [...program.state, ...ports].map(slot => [placeKey(slot.offset, slot.type.dtype, elements(slot)), slot]),
  );
  const known = new Map<Buffer, string>();
  for (const { kernel, args } of launches) {
    for (const [i, { buffer }] of kernel.params.entries()) {
      const slot = slots.get(placeKey(args[i], buffer.dtype, buffer.size));
      if (slot && !known.has(buffer)) known.set(buffer, describe(slot));
    }
  }
  return buffer => known.get(buffer) ?? `${buffer.dtype}[${buffer.size}]`;
}

function emitKernels(program: Program, names: NameScope): Map<Kernel, EmittedKernel> {
  const launches = allLaunches(program);
  const kernels = new Set(launches.map(launch => launch.kernel));
  return new Map(
    [...kernels].map(kernel => {
      const uses = launches.filter(launch => launch.kernel === kernel);
      const use = { aliased: aliasedParams(uses), describe: describeParams(program, uses) };
      return [kernel, emitKernel(kernel, names, use)];
    }),
  );
}

const placeKey = (offset: number, dtype: DType, size: number): string => `${offset} ${dtype} ${size}`;

/** C expressions for the places of tensors: names for state and ports, plain offsets for temporaries. */
class Places {
  private readonly named = new Map<string, { name: string; slot: Slot }>();

  constructor(program: Program, entry: Entry, names: NameScope) {
    const slots = [...program.state, ...entry.program.inputs, ...entry.program.outputs];
    for (const slot of slots) {
      const key = placeKey(slot.offset, slot.type.dtype, elements(slot));
      if (!this.named.has(key)) this.named.set(key, { name: names.claim(slot.name), slot });
    }
  }

  /** The argument for a buffer at an address; `used` collects the names that need a declaration. */
  at(buffer: Buffer, address: Address, used: Map<string, string>): string {
    const place = `at<${storageType[buffer.dtype]}>(arena, ${cPlace(address)})`;
    if (address.strides.some(stride => stride !== 0)) return place;
    const offset = address.base;
    const known = this.named.get(placeKey(offset, buffer.dtype, buffer.size));
    if (known === undefined) return place;
    used.set(known.name, `${storageType[buffer.dtype]}* ${known.name} = ${place};  // ${describe(known.slot)}`);
    return known.name;
  }
}

/** A place in C: bytes from the start of the arena, moving with the counters of the loops around. */
const cPlace = ({ base, strides }: Address): string =>
  strides.reduce((sum, stride, l) => (stride === 0 ? sum : `${sum} + t${l} * (ptrdiff_t)${stride}`), String(base));

/** Does what an entry does depend on data? Then the host waits for conditions, which no CUDA graph can hold. */
const dependsOnData = (steps: readonly Step[]): boolean =>
  steps.some(
    step => !isLaunch(step) && (!isLoop(step) || typeof step.trips !== 'number' || blocksOf(step).some(dependsOnData)),
  );

/** The steps of one entry: launches, loops over them, and branches on a bool that is fetched from the device. */
class EntryCode {
  readonly used = new Map<string, string>();
  private readonly places: Places;

  constructor(
    program: Program,
    entry: Entry,
    private readonly kernels: ReadonlyMap<Kernel, EmittedKernel>,
    private readonly scratchAt: number,
  ) {
    this.places = new Places(program, entry, new NameScope());
  }

  block(steps: readonly Step[], indent: string, depth = 0): string {
    return steps.map(step => this.step(step, indent, depth)).join('');
  }

  private step(step: Step, indent: string, depth: number): string {
    if (isLaunch(step)) return this.launch(step, indent);
    if (isLoop(step)) return this.loop(step, indent, depth);
    const inner = `${indent}  `;
    const side = (steps: readonly Step[]): string => this.block(steps, inner, depth);
    const otherwise = step.no.length > 0 ? ` else {\n${side(step.no)}${indent}}` : '';
    return `${indent}{
${inner}bool holds = false;
${inner}TRY(fetch_bool(arena + ${cPlace(step.predicate)}, &holds, stream));
${inner}if (holds) {\n${side(step.yes).replace(/^/gm, '  ').trimEnd()}
${inner}}${otherwise.replace(/\n/g, '\n  ')}
${indent}}
`;
  }

  private launch({ kernel, args, strides }: Launch, indent: string): string {
    const { launcher, scratchBytes } = this.kernels.get(kernel)!;
    const values = kernel.params.map(({ buffer }, i) =>
      this.places.at(buffer, { base: args[i], strides: strides?.[i] ?? [] }, this.used),
    );
    if (scratchBytes > 0) values.push(`arena + ${this.scratchAt}`);
    return `${indent}TRY(${launcher}(${[...values, 'stream'].join(', ')}));\n`;
  }

  private loop({ trips, body }: Loop, indent: string, depth: number): string {
    const counter = `t${depth}`;
    const inner = `${indent}  `;
    const code = this.block(body, inner, depth + 1);
    if (typeof trips === 'number')
      return `${indent}for (int ${counter} = 0; ${counter} < ${trips}; ++${counter}) {\n${code}${indent}}\n`;
    return `${indent}for (int ${counter} = 0;; ++${counter}) {
${this.block(trips.steps, inner, depth + 1)}${inner}bool holds = false;
${inner}TRY(fetch_bool(arena + ${cPlace(trips.holds)}, &holds, stream));
${inner}if (!holds) break;
${code}${indent}}
`;
  }
}

function emitEntryKernels(
  program: Program,
  entry: Entry,
  kernels: ReadonlyMap<Kernel, EmittedKernel>,
  scratchAt: number,
): string {
  const code = new EntryCode(program, entry, kernels, scratchAt);
  const body = code.block(entry.program.steps, '  ');
  return `static cudaError_t run_${entry.name}(char* arena, cudaStream_t stream) {
${[...code.used.values()].map(line => `  ${line}\n`).join('')}${body}  return cudaSuccess;
}`;
}

const fetchBool = `// The value of a bool, once all that was queued before is done.
static cudaError_t fetch_bool(const char* from, bool* value, cudaStream_t stream) {
  TRY(cudaMemcpyAsync(value, from, 1, cudaMemcpyDeviceToHost, stream));
  return cudaStreamSynchronize(stream);
}

`;

// ── source ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the host code below calls its own functions and constants. */
const hostNames =
  'failed refused allocate follow copy_state run_staged fetch_bool find_input find_output count_of create_message state_bytes arena_bytes staging_bytes entry_count'.split(
    ' ',
  );

export function emitSource(program: Program): string {
  const model = identifier(program.name);
  const names = new NameScope();
  for (const taken of [model, ...hostNames]) names.claim(taken);
  const kernels = emitKernels(program, names);
  const entries = entriesOf(program);
  const scratchAt = align(program.totalBytes);
  const scratchBytes = Math.max(0, ...[...kernels.values()].map(kernel => kernel.scratchBytes));
  const code = [...kernels.values()].map(kernel => kernel.code).join('\n\n');
  const halves = ['__half', '__nv_bfloat16'].filter(type => code.includes(type));
  const headers = halves.map(type => (type === '__half' ? '#include <cuda_fp16.h>\n' : '#include <cuda_bf16.h>\n'));
  return `// ${program.name}: compiled by gradc. ${kernels.size} kernels, ${entries.length} entries; see ${model}.h for the interface.

#include "${model}.h"

#include <cuda_runtime.h>
${headers.join('')}#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ── helpers ──

template <class T>
static T* at(char* memory, size_t bytes) { return reinterpret_cast<T*>(memory + bytes); }

#define TRY(call) do { const cudaError_t try_error = (call); if (try_error != cudaSuccess) return try_error; } while (0)

${helpersUsedBy(code).join('\n')}

// ── kernels ──

${code}

// ── entries: their kernels in order ──

${entries.some(entry => dependsOnData(entry.program.steps)) ? fetchBool : ''}${entries.map(entry => emitEntryKernels(program, entry, kernels, scratchAt)).join('\n\n')}

${emitModel(model, program, entries, scratchAt + scratchBytes)}
${emitInfo(model, entries)}
${entries.map((entry, i) => emitEntry(model, entry, i, program.stateBytes > 0)).join('\n')}
${emitRun(model, entries)}`;
}

const emitModel = (
  model: string,
  program: Program,
  entries: readonly Entry[],
  arenaBytes: number,
): string => `// ── the model ──

static const size_t state_bytes = ${program.stateBytes};
static const size_t arena_bytes = ${Math.max(arenaBytes, 64)};
static const size_t staging_bytes = ${Math.max(64, ...entries.map(entry => entry.stagingBytes))};
enum { entry_count = ${entries.length} };

struct ${model} {
  int device;
  bool use_graphs;
  bool has_state;
  cudaStream_t stream;
  cudaEvent_t done;          // the last work queued on \`last_stream\`
  cudaStream_t last_stream;
  char* arena;               // device memory: state, then tensors at their planned places, then scratch
  char* staging;             // pinned host memory: inputs and outputs of the entry that runs
  cudaGraphExec_t graphs[entry_count + 1];
  char message[256];
};

static char create_message[256];

static int failed(char* message, const char* doing, cudaError_t error) {
  snprintf(message, 256, "%s: %s (%d): %s", doing, cudaGetErrorName(error), (int)error, cudaGetErrorString(error));
  cudaGetLastError();
  return (int)error;
}
static int refused(char* message, const char* why, cudaError_t error) {
  snprintf(message, 256, "%s", why);
  return (int)error;
}

extern "C" int ${model}_abi_version(void) { return ${abiVersion}; }

extern "C" int ${model}_probe(int* devices) {
  *devices = 0;
  const cudaError_t error = cudaGetDeviceCount(devices);
  if (error != cudaSuccess) {
    *devices = 0;
    return failed(create_message, "probe", error);
  }
  return *devices > 0 ? 0 : (int)cudaErrorNoDevice;
}

static cudaError_t allocate(${model}* m) {
  TRY(cudaSetDevice(m->device));
  TRY(cudaStreamCreateWithFlags(&m->stream, cudaStreamNonBlocking));
  TRY(cudaEventCreateWithFlags(&m->done, cudaEventDisableTiming));
  TRY(cudaMalloc((void**)&m->arena, arena_bytes));
  TRY(cudaMallocHost((void**)&m->staging, staging_bytes));
  m->last_stream = m->stream;
  return cudaSuccess;
}

extern "C" int ${model}_create(const ${model}_options* options, ${model}** model) {
  *model = NULL;
  ${model}* m = (${model}*)calloc(1, sizeof(${model}));
  if (m == NULL) return failed(create_message, "create", cudaErrorMemoryAllocation);
  m->device = options ? options->device : 0;
  m->use_graphs = options ? options->use_graphs != 0 : true;
  m->has_state = state_bytes == 0;
  const cudaError_t error = allocate(m);
  if (error != cudaSuccess) {
    failed(create_message, "create", error);
    ${model}_destroy(m);
    return (int)error;
  }
  *model = m;
  return 0;
}

extern "C" int ${model}_destroy(${model}* m) {
  if (m == NULL) return 0;
  cudaError_t first = m->stream ? cudaStreamSynchronize(m->last_stream) : cudaSuccess;
  const auto keep = [&first](cudaError_t error) { if (first == cudaSuccess) first = error; };
  for (int i = 0; i < entry_count; ++i) if (m->graphs[i]) keep(cudaGraphExecDestroy(m->graphs[i]));
  if (m->staging) keep(cudaFreeHost(m->staging));
  if (m->arena) keep(cudaFree(m->arena));
  if (m->done) keep(cudaEventDestroy(m->done));
  if (m->stream) keep(cudaStreamDestroy(m->stream));
  free(m);
  cudaGetLastError();
  return (int)first;
}

extern "C" const char* ${model}_last_error(const ${model}* m) { return m ? m->message : create_message; }
extern "C" const char* ${model}_error_name(int error) { return cudaGetErrorName((cudaError_t)error); }
extern "C" size_t ${model}_workspace_bytes(void) { return arena_bytes; }

// Work queued on \`stream\` after this runs after all earlier work of the model.
static cudaError_t follow(${model}* m, cudaStream_t stream) {
  TRY(cudaSetDevice(m->device));
  if (stream != m->last_stream) {
    TRY(cudaEventRecord(m->done, m->last_stream));
    TRY(cudaStreamWaitEvent(stream, m->done, 0));
    m->last_stream = stream;
  }
  return cudaSuccess;
}

extern "C" int ${model}_sync(${model}* m) {
  const cudaError_t error = cudaStreamSynchronize(m->last_stream);
  return error == cudaSuccess ? 0 : failed(m->message, "sync", error);
}

static cudaError_t copy_state(${model}* m, void* to, const void* from, cudaMemcpyKind kind) {
  TRY(follow(m, m->stream));
  TRY(cudaMemcpyAsync(to, from, state_bytes, kind, m->stream));
  return cudaStreamSynchronize(m->stream);
}

extern "C" int ${model}_load_state(${model}* m, const void* bytes, size_t size) {
  if (size != state_bytes) return refused(m->message, "load_state: the state has ${program.stateBytes} bytes", cudaErrorInvalidValue);
  const cudaError_t error = size == 0 ? cudaSuccess : copy_state(m, m->arena, bytes, cudaMemcpyHostToDevice);
  if (error != cudaSuccess) return failed(m->message, "load_state", error);
  m->has_state = true;
  return 0;
}

extern "C" int ${model}_save_state(${model}* m, void* bytes, size_t size) {
  if (size != state_bytes) return refused(m->message, "save_state: the state has ${program.stateBytes} bytes", cudaErrorInvalidValue);
  if (!m->has_state) return refused(m->message, "save_state: load_state has not been called", cudaErrorNotReady);
  const cudaError_t error = size == 0 ? cudaSuccess : copy_state(m, bytes, m->arena, cudaMemcpyDeviceToHost);
  return error == cudaSuccess ? 0 : failed(m->message, "save_state", error);
}

// Runs an entry from staging to staging, by its graph once that has been captured, if one can hold it.
static cudaError_t run_staged(${model}* m, int entry, bool fits_graph, cudaError_t (*queue)(${model}*)) {
  TRY(follow(m, m->stream));
  if (!m->use_graphs || !fits_graph) {
    TRY(queue(m));
    return cudaStreamSynchronize(m->stream);
  }
  if (m->graphs[entry] == NULL) {
    TRY(cudaStreamBeginCapture(m->stream, cudaStreamCaptureModeThreadLocal));
    const cudaError_t queued = queue(m);
    cudaGraph_t graph = NULL;
    const cudaError_t ended = cudaStreamEndCapture(m->stream, &graph);
    cudaError_t error = queued != cudaSuccess ? queued : ended;
    if (error == cudaSuccess) error = cudaGraphInstantiateWithFlags(&m->graphs[entry], graph, 0);
    if (graph) cudaGraphDestroy(graph);
    TRY(error);
  }
  TRY(cudaGraphLaunch(m->graphs[entry], m->stream));
  return cudaStreamSynchronize(m->stream);
}
`;

function emitInfo(model: string, entries: readonly Entry[]): string {
  const lookup = (side: 'inputs' | 'outputs'): string => {
    const cases = entries.map((entry, i): [number, Entry] => [i, entry]).filter(([, entry]) => entry[side].length > 0);
    const found = cases.map(
      ([i, { name }]) =>
        `  if (entry == ${i} && i >= 0 && i < count_of(${name}_${side})) return ${name}_${side} + i;\n`,
    );
    const name = side.slice(0, -1);
    return `static const ${model}_tensor* find_${name}(int entry, int i) {
${found.join('')}  return NULL;
}
extern "C" int ${model}_${name}_info(int entry, int i, ${model}_tensor* info) {
  const ${model}_tensor* found = find_${name}(entry, i);
  if (found == NULL) return (int)cudaErrorInvalidValue;
  *info = *found;
  return 0;
}
`;
  };
  const tables = entries.flatMap(entry => [infoTable(model, entry, 'inputs'), infoTable(model, entry, 'outputs')]);
  return `// ── what entries take and give ──

template <class T, int n>
static int count_of(const T (&)[n]) { return n; }

${tables.join('')}${lookup('inputs')}${lookup('outputs')}`;
}

function infoTable(model: string, entry: Entry, side: 'inputs' | 'outputs'): string {
  if (entry[side].length === 0) return '';
  const rows = entry[side].map(({ slot }) => {
    const shape =
      slot.type.shape.length === 0 ? 'NULL' : `${entry.name}_${side}_shapes + ${shapeStart(entry[side], slot)}`;
    return `  {"${slot.name}", "${slot.type.dtype}", ${slot.type.shape.length}, ${shape}, ${bytes(slot)}},\n`;
  });
  const sizes = entry[side].flatMap(port => port.slot.type.shape);
  return `static const int64_t ${entry.name}_${side}_shapes[] = {${sizes.join(', ') || '0'}};
static const ${model}_tensor ${entry.name}_${side}[] = {
${rows.join('')}};
`;
}
const shapeStart = (ports: readonly Port[], slot: Slot): number =>
  ports
    .slice(
      0,
      ports.findIndex(port => port.slot === slot),
    )
    .reduce((sum, port) => sum + port.slot.type.shape.length, 0);

function emitEntry(model: string, entry: Entry, number: number, needsState: boolean): string {
  const { name, inputs, outputs } = entry;
  const copy = (to: string, from: string, port: Port, kind: string, stream: string): string =>
    `  TRY(cudaMemcpyAsync(${to}, ${from}, ${bytes(port.slot)}, ${kind}, ${stream}));\n`;
  const nonEmpty = (ports: readonly Port[]): readonly Port[] => ports.filter(port => bytes(port.slot) > 0);
  const upload = nonEmpty(inputs).map(port =>
    copy(`m->arena + ${port.slot.offset}`, `m->staging + ${port.staging}`, port, 'cudaMemcpyHostToDevice', 'm->stream'),
  );
  const download = nonEmpty(outputs).map(port =>
    copy(`m->staging + ${port.staging}`, `m->arena + ${port.slot.offset}`, port, 'cudaMemcpyDeviceToHost', 'm->stream'),
  );
  const fetch = nonEmpty(inputs).map(port =>
    copy(`m->arena + ${port.slot.offset}`, port.name, port, 'cudaMemcpyDeviceToDevice', 'stream'),
  );
  const give = nonEmpty(outputs).map(port =>
    copy(port.name, `m->arena + ${port.slot.offset}`, port, 'cudaMemcpyDeviceToDevice', 'stream'),
  );
  const names = [...inputs, ...outputs].map(port => port.name);
  const check = needsState
    ? `  if (!m->has_state) return refused(m->message, "${name}: load_state has not been called", cudaErrorNotReady);\n`
    : '';
  return `// ── ${name}: ${portDoc(inputs)} -> ${portDoc(outputs)} ──

static cudaError_t queue_${name}(${model}* m) {
${upload.join('')}  TRY(run_${name}(m->arena, m->stream));
${download.join('')}  return cudaSuccess;
}

extern "C" int ${model}_${name}(${[`${model}* m`, ...parameters(entry)].join(', ')}) {
${check}${nonEmpty(inputs)
  .map(port => `  memcpy(m->staging + ${port.staging}, ${port.name}, ${bytes(port.slot)});\n`)
  .join('')}  const cudaError_t error = run_staged(m, ${number}, ${!dependsOnData(entry.program.steps)}, queue_${name});
  if (error != cudaSuccess) return failed(m->message, "${name}", error);
${nonEmpty(outputs)
  .map(port => `  memcpy(${port.name}, m->staging + ${port.staging}, ${bytes(port.slot)});\n`)
  .join('')}  return 0;
}

static cudaError_t queue_${name}_device(${[`${model}* m`, ...parameters(entry), 'cudaStream_t stream'].join(', ')}) {
  TRY(follow(m, stream));
${fetch.join('')}  TRY(run_${name}(m->arena, stream));
${give.join('')}  return cudaSuccess;
}

extern "C" int ${model}_${name}_device(${[`${model}* m`, ...parameters(entry), 'void* stream'].join(', ')}) {
${check}  const cudaError_t error = queue_${name}_device(${['m', ...names, 'stream ? (cudaStream_t)stream : m->stream'].join(', ')});
  return error == cudaSuccess ? 0 : failed(m->message, "${name}_device", error);
}
`;
}

/** Any entry by its number. */
function emitRun(model: string, entries: readonly Entry[]): string {
  const cases = entries.map((entry, number) => {
    const pass = (ports: readonly Port[], side: 'inputs' | 'outputs'): string[] =>
      ports.map((port, i) => `(${side === 'inputs' ? 'const ' : ''}${headerType[port.slot.type.dtype]}*)${side}[${i}]`);
    const args = ['m', ...pass(entry.inputs, 'inputs'), ...pass(entry.outputs, 'outputs')];
    return `    case ${number}: return ${model}_${entry.name}(${args.join(', ')});\n`;
  });
  return `extern "C" int ${model}_run(${model}* m, int entry, const void* const* inputs, void* const* outputs) {
  (void)inputs, (void)outputs;
  switch (entry) {
${cases.join('')}    default: return refused(m->message, "run: there are ${entries.length} entries", cudaErrorInvalidValue);
  }
}
`;
}

export function emitCMake(program: Program): string {
  const model = identifier(program.name);
  return `# Builds lib${model}, a shared library with the C interface of ${model}.h; it needs only a driver at run time.
cmake_minimum_required(VERSION 3.24)
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80 90)
endif()
project(${model} LANGUAGES CXX CUDA)

add_library(${model} SHARED ${model}.cu)
target_include_directories(${model} PUBLIC \${CMAKE_CURRENT_SOURCE_DIR})
target_compile_features(${model} PRIVATE cuda_std_17)
set_target_properties(${model} PROPERTIES CUDA_RUNTIME_LIBRARY Static POSITION_INDEPENDENT_CODE ON)
`;
}
