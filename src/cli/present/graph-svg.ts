import { butText, type Graph, type GraphEdge, type GraphNode } from './graph-model.ts';

/** In pixels. */
const CHARACTER = 7.9;
const ROW = 22;
const HEADER = 46;
const PADDING = 14;
const COLUMN_GAP = 150;
const CARD_GAP = 28;
const MARGIN = 32;
const MIN_WIDTH = 130;
const MAX_ROW_LENGTH = 60;

interface Row {
  readonly edge: GraphEdge;
  readonly text: string;
  /** Whether a line is drawn to the card that the edge comes from. */
  readonly hasLine: boolean;
}

interface Card {
  readonly node: GraphNode;
  readonly rows: readonly Row[];
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * The picture as SVG: external nodes on the left, then a column for each further connection. Each card lists the
 * connections that it accepts, with a line from their origin, and those that it can open.
 */
export function svgOf(graph: Graph, title: string): string {
  const cards = layOut(graph);
  const width = Math.max(...[...cards.values()].map((card) => card.x + card.width), 200) + MARGIN;
  const height = Math.max(...[...cards.values()].map((card) => card.y + card.height), 60) + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${width}" height="${height}"/>`,
    ...[...cards.values()].flatMap((card) => card.rows.map((row, index) => lineTo(card, index, row, cards))),
    ...[...cards.values()].map(cardOf),
    '</svg>',
    '',
  ].join('\n');
}

/** The picture in an HTML page that highlights the card under the pointer. */
export function htmlOf(graph: Graph, title: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(title)}</title>
<style>body{margin:0;font:15px system-ui,sans-serif;background:#f7f8fa;color:#1c2530}h1{font-size:18px;margin:20px 32px 0}p{margin:4px 32px 0;color:#5a6675}main{overflow:auto}@media(prefers-color-scheme:dark){body{background:#12161c;color:#e6eaf0}p{color:#9aa7b6}}</style></head>
<body><h1>${escape(title)}</h1><p>Who can open connections to whom. Hover over a card to see only its connections.</p>
<main>
${svgOf(graph, title)}</main>
<script>
for (const card of document.querySelectorAll('.card')) {
  const ways = document.querySelectorAll('.way');
  card.addEventListener('mouseenter', () => {
    for (const way of ways) {
      const mine = way.dataset.from === card.id || way.dataset.to === card.id;
      way.classList.toggle('off', !mine);
      way.classList.toggle('on', mine);
    }
  });
  card.addEventListener('mouseleave', () => { for (const way of ways) way.classList.remove('off', 'on'); });
}
</script></body></html>
`;
}

const STYLE = `
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1c2530}
.ground{fill:#f7f8fa}.body{fill:#fff;stroke:#c9d1db}.head{fill:#e8f3ee}.anyone .head{fill:#fbe9e7}.outsider .head{fill:#eaf0fb}
.title{font-weight:700;font-size:14px}.about{fill:#5a6675;font-size:11px}.out{fill:#5a6675}
.way{fill:none;stroke:#8fa3b8;stroke-width:1.5;opacity:.75}.way.open{stroke:#d0604f}.way.on{stroke-width:3;opacity:1}.way.off{opacity:.08}
@media(prefers-color-scheme:dark){text{fill:#e6eaf0}.ground{fill:#12161c}.body{fill:#1b222b;stroke:#36414e}.head{fill:#1f3a31}.anyone .head{fill:#47261f}.outsider .head{fill:#22304a}.about,.out{fill:#9aa7b6}}
`.trim();

function layOut({ nodes, edges }: Graph): ReadonlyMap<string, Card> {
  const cards = new Map<string, Card>();
  const titles = new Map(nodes.map(({ id, title }) => [id, title]));
  let x = MARGIN;
  const distances = [...new Set(nodes.map(({ distance }) => distance))].toSorted((a, b) => a - b);
  for (const distance of distances) {
    let y = MARGIN;
    let widest = 0;
    for (const node of nodes.filter((candidate) => candidate.distance === distance)) {
      const rows = rowsOf(node, edges, titles);
      const longest = Math.max(
        node.title.length * 1.08,
        node.about.length * 0.85,
        ...rows.map(({ text }) => text.length),
      );
      const width = Math.max(MIN_WIDTH, Math.ceil(longest * CHARACTER) + 2 * PADDING);
      const height = HEADER + rows.length * ROW + (rows.length === 0 ? 0 : 8);
      cards.set(node.id, { node, rows, x, y, width, height });
      y += height + CARD_GAP;
      widest = Math.max(widest, width);
    }
    x += widest + COLUMN_GAP;
  }
  return cards;
}

function rowsOf(node: GraphNode, edges: readonly GraphEdge[], titles: ReadonlyMap<string, string>): readonly Row[] {
  if (node.kind !== 'role') return [];
  const nameOf = (id: string): string => titles.get(id) ?? id;
  const into = edges
    .filter(({ to }) => to === node.id)
    .map((edge): Row => {
      const who = edge.from === node.id ? 'each other' : nameOf(edge.from);
      return { edge, text: cut(`from ${who}${butText(edge.but)}: ${edge.label}`), hasLine: edge.from !== node.id };
    });
  const out = edges
    .filter(({ from, to }) => from === node.id && !to.startsWith('r'))
    .map(
      (edge): Row => ({ edge, text: cut(`to ${nameOf(edge.to)}${butText(edge.but)}: ${edge.label}`), hasLine: false }),
    );
  return [...into, ...out];
}

function cut(text: string): string {
  return text.length <= MAX_ROW_LENGTH ? text : `${text.slice(0, MAX_ROW_LENGTH - 1)}\u2026`;
}

function cardOf({ node, rows, x, y, width, height }: Card): string {
  const about =
    node.about === '' ? '' : `<text class="about" x="${x + PADDING}" y="${y + 36}">${escape(node.about)}</text>`;
  const title = `<text class="title" x="${x + PADDING}" y="${y + (node.about === '' ? 28 : 21)}">${escape(node.title)}</text>`;
  const lines = rows.map(({ text, edge }, index) => {
    const kind = edge.to === node.id ? '' : ' class="out"';
    return `<text${kind} x="${x + PADDING}" y="${y + HEADER + ROW * index + 17}">${escape(text)}<title>${escape(edge.label)}</title></text>`;
  });
  return `<g class="card ${node.kind}" id="${node.id}"><rect class="body" x="${x}" y="${y}" width="${width}" height="${height}" rx="8"/><path class="head" d="M${x + 1} ${y + HEADER - 2}v-${HEADER - 11}a8 8 0 0 1 8-8h${width - 18}a8 8 0 0 1 8 8v${HEADER - 11}z"/>${title}${about}${lines.join('')}</g>`;
}

function lineTo(card: Card, index: number, { edge, hasLine }: Row, cards: ReadonlyMap<string, Card>): string {
  const from = cards.get(edge.from);
  if (!hasLine || from === undefined) return '';
  const [x2, y2] = [card.x, card.y + HEADER + ROW * index + 12];
  const isBehind = from.x < card.x;
  // From a card of the same column, or of a later one, the line goes round on the left.
  const [x1, y1] = isBehind ? [from.x + from.width, from.y + HEADER / 2] : [from.x, from.y + HEADER / 2];
  const bend = isBehind ? Math.max(50, (x2 - x1) / 2) : 60;
  const path = `M${x1} ${y1}C${isBehind ? x1 + bend : x1 - bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  const kind = from.node.kind === 'anyone' ? ' open' : '';
  return `<path class="way${kind}" data-from="${edge.from}" data-to="${edge.to}" d="${path}"/>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
