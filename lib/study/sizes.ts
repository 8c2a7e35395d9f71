/** Other sizes of a study: keys that take the place of its own when one of them is asked for, as `cortune run STUDY --size full`. */
import { isMap, parseDocument } from 'yaml';
import { CortuneError, show } from '../errors.js';

/**
 * The text of a study at one of its `sizes`: whole keys are replaced, sections (`tune`, `embed`...) key by key. Comments stay.
 * @throws ERR_CONFIG for a size that the study has not.
 */
export function atSize(content: string, size: string, file: string): string {
  const document = parseDocument(content);
  const sizes = document.get('sizes');
  const changes = isMap(sizes) ? sizes.get(size) : undefined;
  if (!isMap(changes)) {
    const names = isMap(sizes) ? sizes.items.map(({ key }) => `\`${String(key)}\``).join(', ') : 'none';
    throw new CortuneError(
      'ERR_CONFIG',
      `${file}: Expected \`size\` to be one of its sizes (${names}), got ${show(size)}`,
    );
  }
  for (const { key, value } of changes.items) {
    const own = document.get(String(key));
    if (isMap(own) && isMap(value) && key !== 'data') for (const part of value.items) own.set(part.key, part.value);
    else document.set(String(key), value);
  }
  document.delete('sizes');
  return document.toString({ lineWidth: 0 });
}
