#!/usr/bin/env node
/**
 * `gradc`: the command line. Finds the command, runs it, and turns what it throws into a message and an exit code:
 * 0 ok, 1 a check failed, 2 usage or configuration, 3 diagnostic in the model, 4 environment, 70 our fault.
 */
import { version } from '../artifact/version.js';
import { fail, GradcError } from '../errors.js';
import { columns, helpText, nearest, parseArguments } from './arguments.js';
import { buildCommand } from './build.js';
import type { Command } from './command.js';
import { compareCommand } from './compare.js';
import { diagnosticsOf, type ExitCode, exitCodeOf, exitCodes, report } from './diagnostics.js';
import { doctorCommand } from './doctor.js';
import { inspectCommand } from './inspect.js';
import { consoleOutput, schemaVersion } from './output.js';

const commands: readonly Command[] = [buildCommand, compareCommand, inspectCommand, doctorCommand];

const overview =
  (): string => `gradc ${version}: compiles models written in TypeScript, training step included, to WebAssembly and CUDA.

usage: gradc COMMAND [options]

${columns(commands.map(({ name, positionals, summary }) => [[name, ...positionals].join(' '), summary]))}
  gradc COMMAND --help tells the options of each; gradc --version the version.
`;

async function run(argv: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = argv;
  if (name === undefined)
    fail('E501', {
      problem: 'no command given',
      hint: `one of ${commands.map(command => command.name).join(', ')}; see gradc --help`,
    });
  if (name === '--help' || name === 'help') {
    process.stdout.write(overview());
    return exitCodes.ok;
  }
  if (name === '--version') {
    process.stdout.write(`${version}\n`);
    return exitCodes.ok;
  }
  const command = commands.find(c => c.name === name) ?? unknownCommand(name!);
  const args = parseArguments(command, rest);
  if (args.has('help')) {
    process.stdout.write(helpText(command));
    return exitCodes.ok;
  }
  return command.run(args, consoleOutput(args.has('json')));
}

function unknownCommand(name: string): never {
  const kind = name.startsWith('-') ? 'option' : 'command';
  const near = nearest(
    name.replace(/^-+/, ''),
    kind === 'option' ? ['help', 'version'] : commands.map(command => command.name),
  );
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
    const diagnostics = diagnosticsOf(error);
    if (argv.includes('--json'))
      process.stdout.write(`${JSON.stringify({ schemaVersion, exitCode, errors: diagnostics })}\n`);
    process.stderr.write(report(diagnostics));
    if (error instanceof GradcError && process.env.GRADC_STACK) process.stderr.write(`${error.stack}\n`);
    return exitCode;
  }
}

process.exitCode = await main(process.argv.slice(2));
