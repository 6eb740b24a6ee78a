#!/usr/bin/env node
/**
 * `gradc`: the command line. Finds the command, runs it, and turns what it throws into a message and an exit code:
 * 0 ok, 1 a check failed, 2 usage or configuration, 3 diagnostic in the model, 4 environment, 70 our fault.
 */
import { version } from '../artifact/version.js';
import { fail, GradcError } from '../errors.js';
import { columns, helpText, nearest, parseArguments, usage } from './arguments.js';
import type { Command } from './command.js';
import { diagnosticsOf, type ExitCode, exitCodeOf, exitCodes, Reported } from './diagnostics.js';
import { checkNode } from './node-version.js';
import { consoleOutput } from './output.js';

/** Loaded one by one: a command must not wait for what another needs. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  build: async () => (await import('./build.js')).buildCommand,
  compare: async () => (await import('./compare.js')).compareCommand,
  bench: async () => (await import('./bench.js')).benchCommand,
  inspect: async () => (await import('./inspect.js')).inspectCommand,
  doctor: async () => (await import('./doctor.js')).doctorCommand,
};
const names = Object.keys(commands);

async function overview(): Promise<string> {
  const all = await Promise.all(Object.values(commands).map(load => load()));
  return `gradc ${version}: compiles models written in TypeScript, training step included, to WebAssembly and CUDA.

usage: gradc COMMAND [options]

${columns(all.map(command => [usage(command).replace('gradc ', ''), command.summary]))}
  gradc COMMAND --help tells the options of each; gradc --version the version.
  GRADC_STACK=1 in the environment shows where errors were thrown; GRADC_DEBUG='dump=cse time' sets debugging options.
  exit codes: 0 ok, 1 a check failed, 2 usage or configuration, 3 diagnostic in the model, 4 environment, 70 our fault
`;
}

async function run(argv: readonly string[]): Promise<ExitCode> {
  checkNode(process.versions.node);
  const [name, ...rest] = argv;
  if (name === undefined)
    fail('E501', {
      problem: 'no command given',
      hint: `one of ${names.join(', ')}; see gradc --help`,
    });
  if (name === 'help' && rest.length > 0) {
    process.stdout.write(helpText(await commandOf(rest[0])));
    return exitCodes.ok;
  }
  if (['help', '--help', '-h'].includes(name)) {
    process.stdout.write(await overview());
    return exitCodes.ok;
  }
  if (['--version', '-v'].includes(name)) {
    process.stdout.write(`${version}\n`);
    return exitCodes.ok;
  }
  const command = await commandOf(name);
  const args = parseArguments(command, rest);
  if (args.has('help')) {
    process.stdout.write(helpText(command));
    return exitCodes.ok;
  }
  return command.run(args, consoleOutput(args.has('json')));
}

const commandOf = async (name: string): Promise<Command> =>
  Object.hasOwn(commands, name) ? commands[name]() : unknownCommand(name);

function unknownCommand(name: string): never {
  const kind = name.startsWith('-') ? 'option' : 'command';
  const near = nearest(name.replace(/^-+/, ''), kind === 'option' ? ['help', 'version'] : names);
  return fail('E501', {
    problem: `unknown ${kind} ${name}`,
    hint: near ? `did you mean ${kind === 'option' ? '--' : ''}${near}?` : 'see gradc --help',
  });
}

/** Run the command line; never throws. */
export async function main(argv: readonly string[]): Promise<ExitCode> {
  try {
    return await run(argv);
  } catch (error) {
    const exitCode = exitCodeOf(error);
    consoleOutput(argv.includes('--json')).failure(exitCode, diagnosticsOf(error));
    if ((error instanceof GradcError || error instanceof Reported) && process.env.GRADC_STACK)
      process.stderr.write(`${error.stack}\n`);
    return exitCode;
  }
}

process.exitCode = await main(process.argv.slice(2));
