/**
 * PYTORCH.md, the table from PyTorch's names to gradc's: made from the op table, the public modules, the names of PyTorch's
 * documentation and those that the reference cases use, so that what is missing shows as missing.
 * `GRADC_UPDATE=1 npx vitest run test/pytorch-table.test.ts` writes it anew.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as gradc from 'gradc';
import * as F from 'gradc/functional';
import { expect, test } from 'vitest';
import type { Param } from '../compiler/ops/signature.js';
import { pytorchNames } from './support/pytorch-names.js';
import { camelCase, snakeCase } from './support/torch-adapter-binding.js';

const file = fileURLToPath(new URL('../PYTORCH.md', import.meta.url));
const data = new URL('./reference/data/', import.meta.url);

type Namespace = Readonly<Record<string, unknown>>;
interface Section {
  /** PyTorch's prefix, as its documentation and the cases write it. */
  readonly path: string;
  /** gradc's. */
  readonly gradc: string;
  readonly members: Namespace;
}

/** Methods and properties of Tensor; a method that is an op has the op's parameters after the first. */
const methods: Namespace = Object.fromEntries(
  Object.getOwnPropertyNames(gradc.Tensor.prototype)
    .filter(name => name !== 'constructor')
    .map(name => {
      const op = (gradc as Namespace)[name] as { params?: readonly Param[] } | undefined;
      return [name, op?.params ? { params: op.params.slice(1) } : {}];
    }),
);
/** What a dotted path of gradc's leads to; nothing where gradc has no such part. */
const membersOf = (path: string): Namespace =>
  path.split('.').reduce((part: Namespace, name) => (part[name] ?? {}) as Namespace, gradc as Namespace);
const section = (path: string, ours: string): Section => ({ path, gradc: `${ours}.`, members: membersOf(ours) });

const sections: readonly Section[] = [
  { path: 'torch', gradc: '', members: gradc },
  section('torch.linalg', 'linalg'),
  section('torch.special', 'special'),
  section('torch.fft', 'fft'),
  { path: 'Tensor', gradc: 'tensor.', members: methods },
  { path: 'nn.functional', gradc: 'F.', members: F },
  section('nn', 'nn'),
  section('nn.init', 'nn.init'),
  section('nn.utils', 'nn.utils'),
  section('nn.utils.rnn', 'nn.utils.rnn'),
  section('nn.utils.parametrize', 'nn.utils.parametrize'),
  section('nn.utils.parametrizations', 'nn.utils.parametrizations'),
  section('torch.optim', 'optim'),
  section('torch.optim.lr_scheduler', 'optim.lrScheduler'),
  section('torch.optim.swa_utils', 'optim.swaUtils'),
  section('torch.autograd', 'autograd'),
  section('torch.autograd.functional', 'autograd'),
  section('torch.distributions', 'distributions'),
  section('torch.distributions.transforms', 'distributions.transforms'),
  section('torch.utils.data', 'data'),
  {
    path: 'torch.utils.checkpoint',
    gradc: '',
    members: { checkpoint: gradc.checkpoint, checkpointSequential: gradc.checkpointSequential },
  },
];

/** gradc's name where PyTorch's changes by more than its case. */
const renamed: Readonly<Record<string, string>> = {
  'torch.Tensor': 'newTensor',
  'torch.from_numpy': 'fromTypedArray',
  'Tensor._version': 'version',
  'Tensor.numpy': 'toTypedArray',
  'Tensor.__getitem__': 'at',
};
/** Names of the language, of tests and of other libraries that the cases use. */
const notApi =
  /^(Tensor\.(__\w+__|repr|dtype)|torch\.(Size|device|numel|autograd|optim\.error|finfo|iinfo|inference_mode).*)$/;

/** Every name of PyTorch's that a reference case calls. */
function namesInCases(): Set<string> {
  const names = new Set<string>();
  for (const entry of readdirSync(data).filter(name => name.endsWith('.jsonl'))) {
    for (const [, name] of readFileSync(new URL(entry, data), 'utf8').matchAll(/"op": ?"([\w.]+)"/g)) names.add(name);
  }
  for (const name of names) if (notApi.test(name) && !(name in renamed)) names.delete(name);
  return names;
}

const parametersOf = (member: unknown): string => {
  const { params } = member as { params?: readonly Param[] };
  return params ? params.map(({ name, optional }) => (optional ? `${name}?` : name)).join(', ') : '';
};

const isModule = (member: unknown): boolean =>
  typeof member === 'function' && member.prototype instanceof gradc.nn.Module;

/** PyTorch's names on one path, each with gradc's. */
function namesOn({ path, members }: Section, used: ReadonlySet<string>): Map<string, string> {
  const known = new Map<string, string>();
  const add = (name: string): void => {
    known.set(name, renamed[`${path}.${name}`] ?? camelCase(name));
  };
  for (const name of pytorchNames[path] ?? []) add(name);
  for (const full of used) if (full.slice(0, full.lastIndexOf('.')) === path) add(full.slice(path.length + 1));
  const ours = new Set(known.values());
  for (const [name, member] of Object.entries(members)) {
    const isOp =
      typeof member === 'object'
        ? members === methods && 'params' in member!
        : typeof member === 'function' && 'params' in member;
    if ((isOp || isModule(member)) && !ours.has(name)) known.set(isModule(member) ? name : snakeCase(name), name);
  }
  return known;
}

interface Table {
  readonly title: string;
  readonly rows: readonly string[];
  readonly missing: number;
}

function tableOf(section: Section, used: ReadonlySet<string>): Table {
  const { gradc: path, members } = section;
  const row = ([torch, ours]: readonly [string, string]): string =>
    ours in members
      ? `| \`${torch}\` | \`${path}${ours}\` | ${parametersOf(members[ours])} |`
      : `| \`${torch}\` | **missing** | |`;
  const names = [...namesOn(section, used)].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    title: section.path.replace(/^(?!torch)/, 'torch.'),
    rows: names.map(row),
    missing: names.filter(([, ours]) => !(ours in members)).length,
  };
}

/** What stands for square brackets, which the language does not let a class define. */
const brackets = `## Square brackets

\`x.at(...)\` takes what stands between them, with \`slice\` from \`gradc\` for Python's colons; \`x.setAt(...)\` assigns.

| PyTorch | gradc |
|---|---|
| \`x[0, -1]\` | \`x.at(0, -1)\` |
| \`x[1:3]\` | \`x.at(slice(1, 3))\` |
| \`x[:, 2:]\` | \`x.at(slice(), slice(2))\` |
| \`x[::2]\` | \`x.at(slice(null, null, 2))\` |
| \`x[..., -1]\` | \`x.at('...', -1)\` |
| \`x[:, None]\` | \`x.at(slice(), null)\` |
| \`x[rows, columns]\` | \`x.at(rows, columns)\` |
| \`x[mask]\` | \`x.at(mask)\`; its size depends on values, so in an entry \`where(mask, x, 0)\` instead |
| \`x[1:3] = y\` | \`x.setAt(slice(1, 3), y)\` |
| \`x[0, mask] = 0\` | \`x.setAt([0, mask], 0)\` |`;

function table(): string {
  const used = namesInCases();
  const tables = sections.map(section => tableOf(section, used));
  const summary = tables.map(({ title, rows, missing }) => `| \`${title}\` | ${rows.length - missing} | ${missing} |`);
  const parts = tables.map(
    ({ title, rows }) => `## ${title}\n\n| PyTorch | gradc | parameters |\n|---|---|---|\n${rows.join('\n')}\n`,
  );
  const intro =
    "Generated by test/pytorch-table.test.ts from the op table, the public modules, the names of PyTorch's documentation\n" +
    '(without CUDA, JIT, quantization, distributed, sparse layouts) and those that the reference cases use. Parameters marked\n' +
    '`?` are optional; any of them can be given by name in a trailing options object.';
  return `# PyTorch → gradc\n\n${intro}\n\n${brackets}\n\n| | names here | missing |\n|---|--:|--:|\n${summary.join('\n')}\n\n${parts.join('\n')}`;
}

test('PYTORCH.md is what the op table and the public modules say', () => {
  const now = table();
  if (process.env.GRADC_UPDATE) writeFileSync(file, now);
  expect(readFileSync(file, 'utf8')).toBe(now);
});
