/**
 * Reading a folder of reference cases: `index.json` names the groups, each group is a file of JSON lines. The format is that
 * of `data/README.md`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DType } from '../../compiler/ir/dtype.js';

/** A number as JSON can hold it: "nan", "inf", "-inf", and decimal strings beyond 2^53. */
export type EncodedNumber = number | string | boolean;
export type NestedData = EncodedNumber | readonly NestedData[];

export interface EncodedTensor {
  readonly kind?: undefined;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data?: NestedData;
  /** Little-endian raw elements, row-major. */
  readonly b64?: string;
}
export type EncodedValue =
  | EncodedTensor
  | { readonly kind: 'none' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'int' | 'float'; readonly value: number | string }
  | { readonly kind: 'string' | 'dtype'; readonly value: string }
  | { readonly kind: 'size'; readonly value: readonly number[] }
  | { readonly kind: 'list'; readonly items: readonly EncodedValue[] }
  | { readonly kind: 'dict'; readonly items: Readonly<Record<string, EncodedValue>> }
  | (Omit<EncodedTensor, 'kind'> & { readonly kind: 'ndarray' });

/** A node of an expression tree. */
export type TreeNode = null | boolean | number | string | readonly TreeNode[] | { readonly [key: string]: TreeNode };

export type CaseInput = EncodedTensor & { readonly name: string; readonly requires_grad: boolean };
export type CaseOutput = EncodedValue & { readonly name?: string; readonly atol?: number };

export interface Case {
  readonly id: string;
  readonly group: string;
  readonly op: string;
  readonly kind: 'expr' | 'script' | 'file';
  readonly code: string;
  readonly inputs: readonly CaseInput[];
  readonly inputs_from?: string;
  readonly expr?: TreeNode;
  readonly outputs: readonly CaseOutput[];
  readonly output_structure?: 'list' | 'tuple';
  readonly cotangents?: readonly (EncodedTensor | null)[];
  readonly grads: Readonly<Record<string, EncodedTensor | null>>;
  readonly rtol: number;
  readonly atol: number;
  readonly grad_rtol?: number;
  readonly grad_atol?: number;
  readonly error?: { readonly type: string; readonly message: string; readonly when?: 'backward' };
  readonly stdout?: string;
}

export interface Group {
  readonly name: string;
  readonly cases: readonly Case[];
}

/** All groups of a folder, in the order of its index; without an index, every `.jsonl` file by name. */
export function readGroups(folder: string): Group[] {
  const groups = groupFiles(folder).map(({ name, file }) => ({ name, cases: readCases(join(folder, file)) }));
  const byId = new Map(groups.flatMap(group => group.cases).map(entry => [entry.id, entry]));
  return groups.map(({ name, cases }) => ({ name, cases: cases.map(entry => withBorrowedInputs(entry, byId)) }));
}

function groupFiles(folder: string): { name: string; file: string }[] {
  if (!existsSync(folder)) throw new Error(`no such folder: ${folder}`);
  const index = join(folder, 'index.json');
  if (existsSync(index)) {
    const { groups } = JSON.parse(readFileSync(index, 'utf8')) as { groups: Record<string, { file: string }> };
    return Object.entries(groups).map(([name, { file }]) => ({ name, file }));
  }
  const files = readdirSync(folder).filter(file => file.endsWith('.jsonl'));
  if (files.length === 0) throw new Error(`${folder} holds neither index.json nor .jsonl files`);
  return files.sort().map(file => ({ name: file.replace(/\.jsonl$/, ''), file }));
}

const readCases = (file: string): Case[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => JSON.parse(line) as Case);

function withBorrowedInputs(entry: Case, byId: ReadonlyMap<string, Case>): Case {
  if (entry.inputs_from === undefined) return entry;
  const lender = byId.get(entry.inputs_from);
  if (lender === undefined)
    throw new Error(`${entry.id} takes its inputs from ${entry.inputs_from}, which is not in the folder`);
  return { ...entry, inputs: lender.inputs };
}
