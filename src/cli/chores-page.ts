/** How roff has text, a page and a section; see man-pages.ts. */
interface Roff {
  readonly text: (plain: string) => string;
  readonly section: (title: string, lines: readonly string[]) => readonly string[];
}

/** The lines of the manual page that says what `markdown`, the page of chores, says: headings, paragraphs and code. */
export function choresLines(markdown: string, { text, section }: Roff): readonly string[] {
  const [introduction = '', ...parts] = markdown.split(/^## /m);
  return [
    ...section('DESCRIPTION', blockLines(introduction.replace(/^# .*\n/, ''), text).slice(1)),
    ...parts.flatMap((part) => {
      const [title, chores] = splitTitle(part);
      return section(
        title.toUpperCase(),
        chores
          .split(/^### /m)
          .filter((chore) => chore.trim() !== '')
          .flatMap((chore) => {
            const [name, body] = splitTitle(chore);
            return [`.SS ${text(name)}`, ...blockLines(body, text).slice(1)];
          }),
      );
    }),
  ];
}

function splitTitle(part: string): readonly [string, string] {
  const end = part.indexOf('\n');
  return [part.slice(0, end), part.slice(end + 1)];
}

/** Paragraphs and code, each begun by a request. */
function blockLines(markdown: string, text: Roff['text']): readonly string[] {
  return markdown.split(/^```/m).flatMap((piece, index) => {
    if (index % 2 === 1)
      return ['.PP', '.nf', '.RS 4', ...splitTitle(piece)[1].trimEnd().split('\n').map(text), '.RE', '.fi'];
    return piece
      .split(/\n\n+/)
      .map((paragraph) => paragraph.trim())
      .filter((paragraph) => paragraph !== '')
      .flatMap((paragraph) => ['.PP', text(plainWords(paragraph))]);
  });
}

function plainWords(markdown: string): string {
  return markdown.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '');
}
