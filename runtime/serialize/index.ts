/** Tensors in files: safetensors, NumPy's npy and npz, and PyTorch's checkpoints (reading). All work on bytes; reading and writing files is the caller's. */
export { loadNpy, loadNpz, type NpyHeader, npyHeader, saveNpy, saveNpz } from './numpy.js';
export { loadSafetensors, readSafetensors, type SafetensorsFile, saveSafetensors } from './safetensors.js';
export { loadTorch } from './torch.js';
