/**
 * Every message a user can see: a code, a sentence with its facts, and a hint that says what to do.
 *
 * Codes: E1xx shapes and dtypes, E2xx autograd and tensors, E3xx tracing (E31x and the warnings W31x: found in the source
 * before anything runs), E4xx artifacts and files, E5xx command line, E6xx backends. Where PyTorch has a sentence for the
 * same mistake, ours keeps its words.
 */

/** A place in the user's program. */
export interface Site {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Path of the module whose `forward` made the call, as in `blocks.3.attn`; empty outside modules. */
  readonly module: string;
}

type Facts = Record<string, unknown>;
interface Message {
  readonly kind:
    | 'ShapeError'
    | 'TypeError'
    | 'AutogradError'
    | 'TraceError'
    | 'TraceWarning'
    | 'ArtifactError'
    | 'UsageError'
    | 'BackendError'
    | 'IndexError'
    | 'ValueError';
  // biome-ignore lint/suspicious/noExplicitAny: each message prints the facts of its own code
  readonly text: (facts: any) => string;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly hint?: (facts: any) => string;
}

const messages = {
  E101: {
    kind: 'IndexError',
    text: f => `${f.op}: Dimension out of range (expected to be in range of [${f.low}, ${f.high}], but got ${f.dim})`,
  },
  E102: {
    kind: 'ShapeError',
    text: f =>
      `${f.op}: The size of tensor a (${f.m}) must match the size of tensor b (${f.n}) at non-singleton dimension ${f.dim}; shapes are ${f.a} and ${f.b}`,
    hint: () => 'sizes broadcast from the right where they are equal or 1; unsqueeze or reshape one of the two',
  },
  E103: {
    kind: 'ShapeError',
    text: f => `${f.op}: inner sizes differ: ${f.a} @ ${f.b} (${f.m} and ${f.n})`,
    hint: f =>
      f.transposed
        ? 'the right operand looks transposed; try .transpose(0, 1) on it'
        : 'the last size of the left operand must equal the next-to-last of the right one',
  },
  E104: { kind: 'ShapeError', text: f => `${f.op}: dim ${f.dim} appears multiple times in the list of dims` },
  E105: { kind: 'ShapeError', text: f => `${f.op}: shape '${f.wanted}' is invalid for input of size ${f.count}` },
  E106: { kind: 'ShapeError', text: f => `${f.op}: invalid shape dimension ${f.dim} in ${f.wanted}` },
  E107: { kind: 'ShapeError', text: f => `${f.op}: ${f.problem}`, hint: f => f.hint },
  E108: { kind: 'TypeError', text: f => `${f.op}: ${f.problem}`, hint: f => f.hint },
  E109: { kind: 'IndexError', text: f => `${f.op}: ${f.problem}`, hint: f => f.hint },
  E110: { kind: 'ValueError', text: f => `${f.op}: ${f.problem}`, hint: f => f.hint },
  E111: {
    kind: 'TypeError',
    text: f => `${f.op} does not take ${f.dtype}`,
    hint: () => 'compute with the parts: real(z), imag(z), z.abs(), or viewAsReal(z), of shape [..., 2]',
  },
  E201: {
    kind: 'AutogradError',
    text: f => `grad can be implicitly created only for scalar outputs, but this one has shape ${f.shape}`,
    hint: () => 'reduce it first, as in loss.mean().backward(), or pass the gradient: y.backward(grad)',
  },
  E202: {
    kind: 'AutogradError',
    text: () =>
      'Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad().',
    hint: () => 'pass { retainGraph: true } to the first backward()',
  },
  E203: {
    kind: 'AutogradError',
    text: () => 'element 0 of tensors does not require grad and does not have a grad_fn',
    hint: () => 'nothing on the way to this tensor requires a gradient: set requiresGrad on a leaf, or leave noGrad()',
  },
  E204: {
    kind: 'AutogradError',
    text: f =>
      `one of the variables needed for gradient computation has been modified by an inplace operation: ${f.dtype} tensor of shape ${f.shape}, input ${f.index} of ${f.op}, is at version ${f.version}; expected version ${f.expected} instead.`,
    hint: () => 'clone() the tensor before changing it in place, or change it after backward()',
  },
  E205: {
    kind: 'AutogradError',
    text: () => 'a leaf Variable that requires grad is being used in an in-place operation.',
    hint: () => 'do it inside noGrad(() => ...), or on a clone()',
  },
  E206: { kind: 'AutogradError', text: f => `the derivative for '${f.op}' is not implemented.`, hint: f => f.hint },
  E207: { kind: 'AutogradError', text: f => f.problem, hint: f => f.hint },
  E208: { kind: 'ValueError', text: f => f.problem, hint: f => f.hint },
  E301: {
    kind: 'TraceError',
    text: f => `${f.what} needs the value of a tensor that is only being traced: ${f.dtype} of shape ${f.shape}`,
    hint: () =>
      'inside an entry values do not exist yet; choose between values with where(cond, a, b), or return the tensor and read it outside',
  },
  E302: {
    kind: 'TraceError',
    text: f => `${f.op}: a tensor of another trace (${f.other}) is used while tracing ${f.current}`,
    hint: () =>
      'a traced tensor lives only inside the call of its entry; keep it in state with an in-place copy instead of in a variable',
  },
  E303: { kind: 'TraceError', text: f => `entry '${f.entry}' must return an object of tensors; ${f.given}` },
  E304: { kind: 'TraceError', text: f => f.problem, hint: f => f.hint },
  E311: {
    kind: 'TraceError',
    text: f => `a tensor as a condition: ${f.code} is an object, so it always counts as true, whatever its values`,
    hint: () =>
      'choose between values with where(condition, a, b), or between computations with cond(condition, () => …, () => …). To ask whether an optional tensor is there, compare it with null',
  },
  E312: {
    kind: 'TraceError',
    text: f => `JavaScript's ${f.operator} does not work on tensors, here on ${f.code}`,
    hint: f => f.hint,
  },
  E313: {
    kind: 'TraceError',
    text: f =>
      `${f.read} reads the value of a tensor inside ${f.where}; while an entry is traced there are no values yet`,
    hint: () => 'go on with the tensor itself, or return it from the entry and read it outside',
  },
  E314: {
    kind: 'TraceError',
    text: f =>
      `${f.call} is drawn once, while ${f.where} is traced; the compiled program would use the same number in every call`,
    hint: () =>
      "use gradc's generators (rand, randn, bernoulli, F.dropout), which draw anew in every call, or make it an input of the entry",
  },
  E315: {
    kind: 'TraceError',
    text: f => `the control flow of ${f.where} depends on data: ${f.code === f.read ? '' : `${f.code}, by `}${f.read}`,
    hint: f =>
      f.loops
        ? 'write the loop as whileLoop(condition, step, start), or as scan(step, start, xs) where the number of steps is fixed, which has a gradient'
        : 'branch with cond(condition, () => …, () => …), or compute both sides and choose with where(condition, a, b)',
  },
  E316: {
    kind: 'TraceError',
    text: f =>
      `${f.target} carries a value from one call to the next, but is changed only while ${f.where} is traced; compiled calls would not change it`,
    hint: () =>
      "keep it in a tensor of the model's state (registerBuffer in a module) and change that in place, as by add_(1) or copy_(next); or change it outside the entry",
  },
  E401: { kind: 'ArtifactError', text: f => f.problem, hint: f => f.hint },
  E402: { kind: 'ArtifactError', text: f => `refused: ${f.problem}`, hint: f => f.hint },
  E403: {
    kind: 'ArtifactError',
    text: f => `the artifact in ${f.folder} is stale: ${f.reasons.join('; ')}`,
    hint: f => `build it again: gradc build ${f.model}`,
  },
  E501: { kind: 'UsageError', text: f => f.problem, hint: f => f.hint },
  E601: { kind: 'BackendError', text: f => `backend '${f.backend}' cannot do ${f.what}`, hint: f => f.hint },
  W311: {
    kind: 'TraceWarning',
    text: f => `${f.call} is read once, while ${f.where} is traced; compiled calls do not read the clock`,
    hint: () => 'measure outside, around the call of the entry',
  },
  W312: {
    kind: 'TraceWarning',
    text: f => `${f.target} is changed once, while ${f.where} is traced; compiled calls do not change it`,
    hint: () =>
      "return the value from the entry, or keep it in a tensor of the model's state and change that in place: copy_(value)",
  },
  W313: {
    kind: 'TraceWarning',
    text: f =>
      `${f.read} is read once, while ${f.where} is traced; later changes of the tensor do not reach the compiled program`,
    hint: () => 'go on with the tensor itself, or read it outside where it is a constant',
  },
} as const satisfies Record<string, Message>;

export type ErrorCode = keyof typeof messages;
export type ErrorKind = Message['kind'];

/** What a message says about given facts: an error that is thrown, or a finding that is reported. */
export function describe(code: ErrorCode, facts: Facts): { kind: ErrorKind; sentence: string; hint: string | null } {
  const message: Message = messages[code];
  return { kind: message.kind, sentence: message.text(facts), hint: message.hint?.(facts) ?? null };
}

/** An error with a stable `code`, the place in the user's file where it arose (when known), and a hint. */
export class GradcError extends Error {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  /** The sentence alone, without code, place and hint. */
  readonly sentence: string;
  readonly hint: string | null;
  site: Site | null;
  constructor(code: ErrorCode, facts: Facts, site: Site | null = null) {
    const { kind, sentence, hint } = describe(code, facts);
    super(formatDiagnostic(kind, code, sentence, site, hint));
    this.name = kind;
    this.code = code;
    this.kind = kind;
    this.sentence = sentence;
    this.hint = hint;
    this.site = site;
  }

  /** Attach the place once it is known; the message is rewritten. */
  at(site: Site): this {
    this.site = site;
    this.message = formatDiagnostic(this.kind, this.code, this.sentence, site, this.hint);
    return this;
  }
}

function formatDiagnostic(
  kind: string,
  code: string,
  sentence: string,
  site: Site | null,
  hint: string | null,
): string {
  const where =
    site === null ? '' : `\n  at ${site.file}:${site.line}:${site.column}${site.module ? ` in ${site.module}` : ''}`;
  return `${kind} ${code}: ${sentence}${where}${hint ? `\n  hint: ${hint}` : ''}`;
}

let siteFinder: (error: Error) => Site | null = () => null;
/** How an error finds the user's line; installed by `trace/site.ts`. */
export function setSiteFinder(finder: (error: Error) => Site | null): void {
  siteFinder = finder;
}

/** Throw a user-visible error by code, located in the user's file where that can be told. */
export function fail(code: ErrorCode, facts: Facts): never {
  const error = new GradcError(code, facts);
  const site = siteFinder(error);
  throw site === null ? error : error.at(site);
}

/** A broken invariant of gradc itself: not the user's mistake. */
export class InternalError extends Error {
  constructor(message: string) {
    super(`internal: ${message}`);
    this.name = 'InternalError';
  }
}
export function invariant(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new InternalError(typeof message === 'string' ? message : message());
}
