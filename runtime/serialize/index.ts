/** Tensors in files: safetensors, and NumPy's npy and npz. All work on bytes; reading and writing files is the caller's. */
export { loadNpy, loadNpz, type NpyHeader, npyHeader, saveNpy, saveNpz } from './numpy.js';
export { loadSafetensors, readSafetensors, type SafetensorsFile, saveSafetensors } from './safetensors.js';
