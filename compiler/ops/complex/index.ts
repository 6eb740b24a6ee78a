/** What ops mean of complex numbers; importing it makes them take these. */
import './arithmetic.js';
import './equations.js';
import './functions.js';
import './products.js';
import './reductions.js';
import './shape.js';

export { complex, polar, resolveConj, resolveNeg, viewAsComplex, viewAsReal } from './creation.js';
