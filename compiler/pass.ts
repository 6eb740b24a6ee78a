/**
 * Passes, and the driver that runs a list of them: verifies, times, dumps, stops, skips, explains.
 *
 * A pass is a pure function with a name. It returns the same object where nothing changed.
 */

export interface PassContext {
  /** Record a choice for `--explain`: what was decided, why, and about which nodes or kernels. */
  note(what: string, why: string, about?: readonly object[]): void;
}

export interface Pass<IR> {
  readonly name: string;
  /** What it changes, in one sentence. */
  readonly doc: string;
  readonly run: (ir: IR, context: PassContext) => IR;
}

/** A choice that a pass has made. */
export interface Note {
  readonly pass: string;
  readonly what: string;
  readonly why: string;
  readonly about: readonly object[];
}

/** The debugging switches, the same words on the command line (`--dump=fuse,wat`) and in the variable GRADC_DEBUG. */
export interface DebugOptions {
  readonly stopAfter?: string;
  /** Names of passes (or `all`) after which the IR is printed. */
  readonly dump?: readonly string[];
  readonly skip?: readonly string[];
  readonly time?: boolean;
  /** Check the IR after each pass. */
  readonly verify?: boolean;
  /** Names of passes (or `all`) whose notes are printed. */
  readonly explain?: readonly string[];
  /** Is told the choices of all passes. */
  readonly noted?: (note: Note) => void;
  /** Is told the IR that each pass leaves. */
  readonly observe?: (pass: string, ir: unknown) => void;
  /** For tests: spoils what the pass of a name leaves, to show that such a fault is found. */
  readonly faults?: Readonly<Record<string, (ir: unknown) => unknown>>;
  /** Where dumps, times and notes go; standard error if absent. */
  readonly write?: (text: string) => void;
}

/** How the driver prints and checks the IR it drives. */
export interface PassHooks<IR> {
  print(ir: IR): string;
  verify(ir: IR): void;
}

/** Thrown by the driver to end a compilation at `stopAfter`; carries the IR reached. */
export class Stopped<IR> extends Error {
  constructor(
    readonly pass: string,
    readonly ir: IR,
  ) {
    super(`stopped after ${pass}`);
  }
}

const selects = (names: readonly string[] | undefined, name: string): boolean =>
  names?.some(n => n === name || n === 'all') ?? false;

/** Run passes in order over one IR. Throws Stopped at `debug.stopAfter`, and what `hooks.verify` throws, naming the pass. */
export function runPasses<IR>(passes: readonly Pass<IR>[], ir: IR, hooks: PassHooks<IR>, debug: DebugOptions = {}): IR {
  const write = debug.write ?? (text => process.stderr.write(text));
  for (const pass of passes) {
    if (selects(debug.skip, pass.name)) continue;
    const before = ir;
    const start = performance.now();
    ir = left(pass.name, debug, pass.run(ir, passContext(pass.name, debug)));
    if (debug.time) write(`${pass.name}: ${(performance.now() - start).toFixed(2)} ms\n`);
    if (selects(debug.dump, pass.name))
      write(`── after ${pass.name}${ir === before ? ' (unchanged)' : ''}\n${hooks.print(ir)}\n`);
    if (debug.verify) verifyAfter(pass, ir, hooks);
    if (debug.stopAfter === pass.name) throw new Stopped(pass.name, ir);
  }
  return ir;
}

/** What a pass records its choices in. */
export function passContext(pass: string, debug: DebugOptions): PassContext {
  const write = debug.write ?? (text => process.stderr.write(text));
  return {
    note(what, why, about = []) {
      if (selects(debug.explain, pass)) write(`${pass}: ${what}: ${why}\n`);
      debug.noted?.({ pass, what, why, about });
    },
  };
}

/** What a pass leaves, seen by `debug.observe`, and spoiled where a test wants it so. */
export function left<IR>(pass: string, { observe, faults }: DebugOptions, ir: IR): IR {
  const spoiled = faults?.[pass] === undefined ? ir : (faults[pass](ir) as IR);
  observe?.(pass, spoiled);
  return spoiled;
}

function verifyAfter<IR>(pass: Pass<IR>, ir: IR, hooks: PassHooks<IR>): void {
  try {
    hooks.verify(ir);
  } catch (error) {
    throw new Error(
      `internal: after pass ${pass.name}: ${(error as Error).message.replace(/^internal: /, '')}\n${hooks.print(ir)}`,
      {
        cause: error,
      },
    );
  }
}
