import { butText, type Graph } from './graph-model.ts';

/** The picture as a Mermaid flowchart. */
export function mermaidOf({ nodes, edges }: Graph): string {
  const shapes = { anyone: ['((', '))'], outsider: ['[/', '/]'], role: ['[', ']'] } as const;
  const lines = nodes.map(({ id, kind, title, about }) => {
    const [open, close] = shapes[kind];
    const text = about === '' ? quoted(title) : quoted(`${title}\n${about}`);
    return `  ${id}${open}${text}${close}`;
  });
  return [
    'flowchart LR',
    ...lines,
    ...edges.map(
      ({ from, to, label, but }) =>
        `  ${from} -->|${quoted(`${label}${but.length === 0 ? '' : `, all${butText(but)}`}`)}| ${to}`,
    ),
    '',
  ].join('\n');
}

/** Escapes what Mermaid would interpret, by HTML's character references. */
function quoted(text: string): string {
  const safe = text.replace(/[&<>"#|`]/g, (character) => `#${character.charCodeAt(0)};`);
  return `"${safe.replaceAll('\n', '<br/>')}"`;
}
