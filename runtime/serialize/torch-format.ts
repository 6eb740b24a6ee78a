/** What the reader and the writer of PyTorch's files share. */
import { tableOfReals } from '../../compiler/ir/dtype.js';

/** PyTorch's names of typed memory, in the module `torch`. */
export const storageTypes = tableOfReals({
  bool: 'BoolStorage',
  uint8: 'ByteStorage',
  int8: 'CharStorage',
  int16: 'ShortStorage',
  int32: 'IntStorage',
  int64: 'LongStorage',
  float16: 'HalfStorage',
  bfloat16: 'BFloat16Storage',
  float32: 'FloatStorage',
  float64: 'DoubleStorage',
});

/** How the format before the zip files begins: two pickles of these numbers. */
export const legacyMagic = 0x1950a86a20f9469cfc6cn;
export const legacyProtocol = 1001;

/** Values nested deeper are neither read nor written. */
export const deepestNesting = 200;
