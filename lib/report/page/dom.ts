/** Elements made of text: strings from the results only ever become text nodes and attributes. */

type Child = Node | string | null | undefined;
type Attributes = Record<string, string | number | boolean | ((event: Event) => void) | undefined>;

/** Makes an element; a function is a listener, `true` an empty attribute, `false` and undefined none. */
export function h(tag: string, attributes: Attributes = {}, ...children: Child[]): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element with this id; the page's own markup has it. */
export function at(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/** A labelled choice. With fewer than two options there is nothing to choose and nothing is shown. */
export function choice(
  label: string,
  options: [string, string][],
  value: string,
  onChange: (value: string) => void,
): HTMLElement | null {
  if (options.length < 2) return null;
  const id = `choice-${label.toLowerCase().replaceAll(' ', '-')}`;
  const select = h('select', {
    id,
    change: (event) => onChange((event.target as HTMLSelectElement).value),
  });
  for (const [key, title] of options) select.append(h('option', { value: key, selected: key === value }, title));
  return h('div', { class: 'choice' }, h('label', { for: id }, label), select);
}

/** A labelled check box. */
export function tick(label: Child, checked: boolean, onChange: (checked: boolean) => void): HTMLElement {
  const input = h('input', {
    type: 'checkbox',
    checked,
    change: (event) => onChange((event.target as HTMLInputElement).checked),
  });
  return h('label', { class: 'tick' }, input, h('span', {}, label));
}
