/** What a command of the command line is. */
import type { Arguments, CommandSyntax } from './arguments.js';
import type { ExitCode } from './diagnostics.js';
import type { Output } from './output.js';

export interface Command extends CommandSyntax {
  run(args: Arguments, output: Output): Promise<ExitCode>;
}
