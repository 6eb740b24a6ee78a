/** Runs a compiled model away from the page. */
import { answer } from '../project/main.js';

answer().then(postMessage, error => {
  setTimeout(() => {
    throw error;
  });
});
