/** The listings of the tutorial, one after the other: `node dist/examples/tutorial/main.js [name ...]`. */
import * as autograd from './autograd.js';
import * as network from './network.js';
import * as tensors from './tensors.js';

const listings: Readonly<Record<string, () => void>> = { ...tensors, ...autograd, ...network };

const wanted = process.argv.slice(2);
for (const [name, listing] of Object.entries(listings)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`── ${name}`);
  listing();
}
