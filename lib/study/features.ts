/** The features of a run, kept beside its scores where a study says `embed: {save: true}`. */

import { Tensor } from '../tensor.js';
import { writeTensors } from '../tune/lane-files.js';

/**
 * Writes features.safetensors (`hidden_states` [L, n, p], which `cortune encode --features` reads) into a folder that is to be made. The values are
 * copied now, as lanes give their features back once they are scored, before the batch is written.
 */
export function featureWriter(features: Tensor): (folder: string) => Promise<void> {
  const [values, shape] = [features.toArray(), features.shape];
  return async (folder) => {
    using tensor = Tensor.from(values, shape);
    await writeTensors(folder, 'features.safetensors', { names: ['hidden_states'], tensors: [tensor.handle] }, {});
  };
}
