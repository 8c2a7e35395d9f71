/** HTML from templates that escape: what comes from files is text, never markup. */

/** Markup that is meant as markup. */
export class Html {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

const kEntities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text as it may stand between tags and inside quoted attributes. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => kEntities[char]!);
}

type Value = Html | string | number | null | undefined | Value[];

function put(value: Value): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Html) return value.text;
  return Array.isArray(value) ? value.map(put).join('') : escaped(String(value));
}

/** Every value is escaped unless it is itself `html`; lists are joined. */
export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(parts.reduce((all, part, i) => all + part + put(values[i]), ''));
}
