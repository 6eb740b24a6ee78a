/** What rules are given and what they find. */

import type { ErrorCode } from '../../errors.js';
import type { ts } from '../typescript.js';
import type { TracedFunction } from './reach.js';
import type { Vocabulary } from './vocabulary.js';

export interface Finding {
  readonly code: ErrorCode;
  /** Where it is reported. */
  readonly node: ts.Node;
  /** What the message speaks of. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** One traced function, with all nodes of its body. */
export interface Subject {
  readonly traced: TracedFunction;
  readonly nodes: readonly ts.Node[];
  readonly vocabulary: Vocabulary;
}

export type Rule = (subject: Subject) => Iterable<Finding>;
