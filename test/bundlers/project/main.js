/** What every bundler is given: a program that calls a compiled model and trains it. */
import { load } from './slope.model.ts?compiled';

export async function answer() {
  const model = await load();
  const before = Array.from(model.predict({ x: [1, 2, 3] }).y);
  const losses = Array.from({ length: 5 }, () => model.trainStep({ x: [1, 2, 3], y: [5, 10, 15] }).loss);
  return { before, losses, after: Array.from(model.predict({ x: [1, 2, 3] }).y) };
}
