/** Data sets, samplers and the DataLoader: `data.DataLoader`. */
export { type Collated, DataLoader, type DataLoaderOptions, defaultCollate } from './data-loader.js';
export { ConcatDataset, type Dataset, type DatasetLike, randomSplit, Subset, TensorDataset } from './dataset.js';
export {
  BatchSampler,
  RandomSampler,
  type RandomSamplerOptions,
  type Sampler,
  SequentialSampler,
  SubsetRandomSampler,
  WeightedRandomSampler,
} from './sampler.js';
