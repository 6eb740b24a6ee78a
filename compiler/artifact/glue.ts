/**
 * `<name>.js`: the loader of runtime/deploy with the names of this artifact's files, bundled into one file without imports; and
 * `<name>.threads.js`, with which the loader starts threads where they are asked for.
 */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { ValueChecks } from '../../runtime/deploy/value-checks.js';
import type { FileRecord, VariantRecord } from './manifest.js';

export interface GlueParts {
  readonly name: string;
  readonly variants: readonly VariantRecord[];
  /** One file, or several that hold the state's tensors between them. */
  readonly stateFiles: readonly string[];
  /** Absent where the artifact is built for one thread. */
  readonly teamFile?: string;
  /** Absent where no entry looks at values. */
  readonly checks?: ValueChecks;
  readonly files: Readonly<Record<string, FileRecord>>;
}

/** Is it taken only where the caller asks for it? */
export const isRevectorized = ({ requires }: VariantRecord): boolean => requires.includes('revectorize');

/** A source of runtime/deploy, beside this file in the sources as in the build. */
const deployed = (name: string): string =>
  fileURLToPath(
    new URL(`../../runtime/deploy/${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
  );

/** Bundlers know `new URL(literal, import.meta.url)` and carry the file along. */
const urlExpression = (name: string): string => `() => new URL(${JSON.stringify(`./${name}`)}, import.meta.url)`;
function fileExpression(name: string, { sha256, bytes }: FileRecord): string {
  const hash = Buffer.from(sha256, 'hex').toString('base64');
  return `url: ${urlExpression(name)}, sha256: ${JSON.stringify(hash)}, bytes: ${bytes}`;
}

export async function glueSource({ name, variants, stateFiles, teamFile, checks, files }: GlueParts): Promise<string> {
  const list = (wanted: readonly VariantRecord[]): string => {
    const records = wanted.map(({ file, requires }) => {
      const relaxed = requires.includes('relaxed-simd') ? ', relaxed: true' : '';
      return `{ ${fileExpression(file, files[file])}${relaxed} }`;
    });
    return `[${records.join(', ')}]`;
  };
  const modules = (wanted: readonly VariantRecord[]): string => {
    const [ofTeam, alone] = partition(wanted, ({ requires }) => requires.includes('threads'));
    return `modules: [${(ofTeam.length > 0 ? [alone, ofTeam] : [alone]).map(list).join(', ')}]`;
  };
  const [revectorized, plain] = partition(variants, isRevectorized);
  const team =
    teamFile === undefined
      ? ''
      : `startTeam: (threads, module) => startTeam(threads, module, (${urlExpression(teamFile)})()),`;
  const artifact =
    revectorized.length === 0
      ? 'artifact'
      : `options?.revectorize ? { ...artifact, ${modules(revectorized)} } : artifact`;
  const loaded = `loadArtifact(${artifact}, options)`;
  return bundled(`
    import { load as loadArtifact } from ${JSON.stringify(deployed('loader'))};
    ${checks === undefined ? '' : `import { withValueChecks } from ${JSON.stringify(deployed('value-checks'))};`}
    ${team && `import { startTeam } from ${JSON.stringify(deployed('team'))};`}
    const artifact = {
      name: ${JSON.stringify(name)},
      ${modules(plain)},
      state: [${stateFiles.map(file => `{ ${fileExpression(file, files[file])} }`).join(', ')}],
      ${team}
    };
    export const load = ${
      checks === undefined
        ? `options => ${loaded}`
        : `async options => withValueChecks(await ${loaded}, ${JSON.stringify(checks)})`
    };`);
}

const partition = <T>(list: readonly T[], wanted: (element: T) => boolean): [T[], T[]] => [
  list.filter(wanted),
  list.filter(element => !wanted(element)),
];

/** What every thread but the caller's starts with: the same for every artifact. */
export const threadSource = (): Promise<string> => bundled(`import ${JSON.stringify(deployed('thread'))};`);

async function bundled(contents: string): Promise<string> {
  const result = await build({
    stdin: { contents, resolveDir: '.' },
    bundle: true,
    minify: true,
    ignoreAnnotations: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    logLevel: 'silent',
  });
  return result.outputFiles[0].text;
}
