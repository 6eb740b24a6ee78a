/** The models of the gallery, each trained for some steps eagerly and compiled: every result, gradient and state agrees. */
import type { ModelDefinition } from 'gradc';
import { compareModel } from 'gradc/compiler';
import { expect, test } from 'vitest';
import diffusion from '../examples/gallery/diffusion.model.js';
import dqn from '../examples/gallery/dqn.model.js';
import gcn from '../examples/gallery/gcn.model.js';
import kalman from '../examples/gallery/kalman.model.js';
import maml from '../examples/gallery/maml.model.js';
import neuralOde from '../examples/gallery/neural-ode.model.js';
import pinn from '../examples/gallery/pinn.model.js';
import ppo from '../examples/gallery/ppo.model.js';
import translation from '../examples/gallery/translation.model.js';
import vae from '../examples/gallery/vae.model.js';
import vit from '../examples/gallery/vit.model.js';
import wgan from '../examples/gallery/wgan.model.js';

const models: readonly ModelDefinition[] = [
  diffusion,
  dqn,
  gcn,
  kalman,
  maml,
  neuralOde,
  pinn,
  ppo,
  translation,
  vae,
  vit,
  wgan,
];

test.each(models)('$name', async definition => {
  const { agrees, differences, oracle } = await compareModel(definition, {
    steps: 2,
    measure: false,
    integers: 2,
  });
  expect(differences.filter(difference => !difference.agrees)).toEqual([]);
  expect(agrees).toBe(true);
  expect(oracle).toBe(true);
  const trained = differences.filter(({ kind }) => kind === 'state');
  expect(trained.length).toBeGreaterThan(3);
});
