/** Optimizers and learning rate schedulers: `optim.SGD`, `optim.lrScheduler.StepLR`. */
export {
  Adam,
  Adamax,
  type AdamaxSettings,
  type AdamSettings,
  AdamW,
  type MomentSettings,
  NAdam,
  type NAdamSettings,
  RAdam,
} from './adam.js';
export {
  Adadelta,
  type AdadeltaSettings,
  Adagrad,
  type AdagradSettings,
  ASGD,
  type ASGDSettings,
  RMSprop,
  type RMSpropSettings,
  Rprop,
  type RpropSettings,
} from './adaptive.js';
export { LBFGS, type LBFGSSettings } from './lbfgs.js';
export * as lrScheduler from './lr-schedulers.js';
export {
  type GroupSettings,
  Optimizer,
  type OptimizerState,
  type Parameters,
  type ParamGroup,
  type TorchOptimizerState,
} from './optimizer.js';
export { SGD, type SGDSettings } from './sgd.js';
export * as swaUtils from './swa-utils.js';
