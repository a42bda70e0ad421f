import { describe, expect, test } from 'vitest';
import { mermaidOf } from '#cli/present/graph-mermaid.ts';
import { butText, type Graph, graphOf } from '#cli/present/graph-model.ts';
import { htmlOf, svgOf } from '#cli/present/graph-svg.ts';
import { policyReachability } from '#core/meaning/reach/policy-reachability.ts';
import { policyOf } from '../netns/enforce.ts';

const TEXT = `version: 1
addressGroups:
  office: { addresses: [203.0.113.0/24] }
  nobody: { addresses: [] }
platform:
  management:
    - { protocol: tcp, ports: 22, source: 192.0.2.10 }
securityGroups:
  web:
    inbound:
      - { action: deny, protocol: tcp, ports: 8443, source: any, priority: 1 }
      - { protocol: tcp, ports: "443,8443", source: any, priority: 2 }
      - { protocol: tcp, ports: "443,9090", source: { addressGroup: office } }
      - { protocol: tcp, ports: 9091, source: { addressGroup: nobody } }
    outbound:
      - { protocol: tcp, ports: 5432, destination: { securityGroup: db } }
      - { protocol: udp, ports: 53, destination: any }
  db:
    inbound:
      - { protocol: tcp, ports: "5432,9100", source: { securityGroup: web } }
      - { action: deny, protocol: tcp, ports: 80, source: any, priority: 1 }
      - { source: self, priority: 2 }
    outbound:
      - { destination: any }
instances:
  web-1: { interfaces: { eth0: { addresses: [198.51.100.1], securityGroups: [web] } } }
  web-2: { interfaces: { eth0: { addresses: [198.51.100.2], securityGroups: [web] } } }
  db-1: { interfaces: { eth0: { securityGroups: [db] } } }
`;

async function picture(text = TEXT): Promise<Graph> {
  return graphOf(policyReachability(await policyOf(text)));
}

/** Edges in words: `anyone -> web: tcp 443`. */
function edgesOf({ nodes, edges }: Graph): readonly string[] {
  const title = (id: string): string => nodes.find((node) => node.id === id)?.title ?? id;
  return edges.map(({ from, to, label, but }) => `${title(from)} -> ${title(to)}: ${label}${butText(but)}`).toSorted();
}

describe('who reaches whom', () => {
  test('is what the rules of both ends let pass, beyond what anyone may', async () => {
    expect(edgesOf(await picture())).toEqual([
      // Not 8443, which is denied before.
      '192.0.2.10 -> db: tcp 22 (IPv4)',
      '192.0.2.10 -> web: tcp 22 (IPv4)',
      'anyone -> web: tcp 443',
      'db -> anyone: all traffic',
      // To members of its own as well: of them it lets in all but what it denies to everybody.
      'db -> db: all but tcp 80',
      // 443 anyone may, and of 9091 there is nobody.
      'office -> web: tcp 9090 (IPv4)',
      'web -> anyone: udp 53',
      // Not 9100, which web may not open. Its members have IPv4 addresses alone.
      'web -> db: tcp 5432 (IPv4)',
    ]);
  });

  test('names who is denied some of what others may', async () => {
    const denials = await picture(`version: 1
addressGroups:
  banned: { addresses: [192.0.2.0/24, 198.51.100.7] }
  elsewhere: { addresses: [10.9.0.0/16] }
  nobody: { addresses: [] }
securityGroups:
  web:
    inbound:
      - { action: deny, source: { addressGroup: banned } }
      - { action: deny, source: { addressGroup: nobody } }
      - { action: deny, source: { securityGroup: lab } }
      - { action: deny, protocol: udp, source: 203.0.113.9 }
      - { action: deny, protocol: tcp, ports: 22, source: { addressGroup: elsewhere } }
      - { action: deny, source: 10.1.0.0/16 }
      - { protocol: tcp, ports: 443, source: any, priority: 2 }
      - { protocol: tcp, ports: 22, source: 10.0.0.0/8, priority: 2 }
      - { protocol: tcp, ports: 25, source: 172.16.0.0/12, priority: 2 }
    outbound:
      - { action: deny, destination: 10.1.0.0/16 }
      - { destination: any, priority: 2 }
  lab: {}
instances:
  web: { interfaces: { eth0: { addresses: [192.0.2.1], securityGroups: [web] } } }
  lab: { interfaces: { eth0: { addresses: [10.77.0.1], securityGroups: [lab] } } }
`);
    expect(edgesOf(denials)).toEqual([
      '10.0.0.0/8 -> web: tcp 22 (IPv4) but lab, elsewhere, 10.1.0.0/16',
      '172.16.0.0/12 -> web: tcp 25 (IPv4)',
      'anyone -> web: tcp 443 but banned, lab, 10.1.0.0/16',
      'web -> anyone: all traffic but 10.1.0.0/16',
    ]);
    expect(svgOf(denials, 'title')).toContain('from anyone but banned, lab, 10.1.0.0/16: tcp 443');
    expect(svgOf(denials, 'title')).toContain('from 172.16.0.0/12: tcp 25 (IPv4)');
    expect(mermaidOf(denials)).toContain('"tcp 443, all but banned, lab, 10.1.0.0/16"');
  });

  test('has interfaces with the same groups in one card, and groups by their distance from outside', async () => {
    const { nodes } = await picture();
    expect(nodes.map(({ title, about, distance }) => [title, about, distance])).toEqual([
      ['anyone', '', 0],
      ['192.0.2.10', '', 0],
      ['office', 'address group', 0],
      ['db', 'db-1 eth0', 1],
      ['web', 'web-1 eth0, web-2 eth0', 1],
    ]);
  });

  test('is drawn as Mermaid, SVG and a page without anything from elsewhere', async () => {
    const graph = await picture();
    const mermaid = mermaidOf(graph);
    expect(mermaid).toMatch(/^flowchart LR\n {2}anyone\(\("anyone"\)\)\n/);
    expect(mermaid).toContain('["web<br/>web-1 eth0, web-2 eth0"]');
    expect(mermaid).toContain('-->|"tcp 443"|');
    const svg = svgOf(graph, 'a <title> & "more"');
    expect(svg).toContain('aria-label="a &#60;title&#62; &#38; &#34;more&#34;"');
    expect(svg.match(/class="card /g)).toHaveLength(5);
    // One to each other is told, and not drawn; nor is what goes out.
    expect(svg.match(/<path class="way/g)).toHaveLength(5);
    expect(svg).toContain('from each other: all but tcp 80');
    const html = htmlOf(graph, '<script>');
    expect(html).not.toContain('<script></title>');
    expect(html).not.toMatch(/(?:src|href)=|url\(|@import/);
  });

  test('says nothing of who is not there', async () => {
    const graph = await picture('version: 1\n');
    expect(graph).toEqual({ nodes: [], edges: [] });
    expect(svgOf(graph, 'nobody')).toContain('<svg');
  });
});
