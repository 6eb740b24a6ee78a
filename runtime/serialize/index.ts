/**
 * Tensors in files: PyTorch's `.pt`, safetensors, NumPy's npy and npz. All work on bytes; reading and writing files is the
 * caller's.
 */
export type { ReadOptions } from './budget.js';
export { loadNpz, saveNpz } from './npz.js';
export { loadNpy, type NpyHeader, npyHeader, saveNpy } from './numpy.js';
export { loadSafetensors, readSafetensors, type SafetensorsFile, saveSafetensors } from './safetensors.js';
export { type LoadOptions, load } from './torch.js';
export { type SaveOptions, save } from './torch-writer.js';
