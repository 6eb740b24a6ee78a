/** What a model can be compiled to, and which stages of its compilation can be looked at. */
export const targets = ['wasm', 'cuda'] as const;
export type Target = (typeof targets)[number];

/** When to build the CUDA library. */
export const nvccChoices = ['auto', 'require', 'skip'] as const;
export type NvccChoice = (typeof nvccChoices)[number];

/** The modules that the wasm backend writes: plain, with relaxed SIMD, and for several threads. */
export const variants = ['simd', 'relaxed', 'threads'] as const;
export type Variant = (typeof variants)[number];

/** An option of the commands that run modules. */
export const revectorizeSpec = {
  doc: "run the modules of build --revectorize, under V8's flag for them (Node 24 and later)",
};

/** An option of all commands that compile for wasm. */
export const plainSumsSpec = { doc: 'convolve by plain sums, whose rounding errors are smaller' };

export const stages = ['graph', 'backward', 'passes', 'fused', 'explain', 'kernels', 'memory', 'wat', 'cuda'] as const;
export type Stage = (typeof stages)[number];
