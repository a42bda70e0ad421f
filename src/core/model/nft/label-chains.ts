import { firstPart, objectName } from './object-name.ts';

/*
 * Conntrack labels remember which flows were judged, so that a live packet costs one test instead of the rules again.
 * Each judge (the chains of one set of groups) has a label of its own in each generation of labels: with the next one
 * every flow is judged anew. A judge's label says nothing about another interface. Labels and not marks, which belong to
 * others (Docker, VPNs), are saved into packets and change routes.
 */

const LIVE = 'live';
const ADMIT = 'admit';

/** The chain that lets packets through whose flow `judge` has let in under the rules in force now. */
export function liveChain(chainSet: string): string {
  return objectName(LIVE, chainSet);
}

/** The chain that lets a packet through and notes that `judge` has judged its flow. */
export function admitChain(chainSet: string): string {
  return objectName(ADMIT, chainSet);
}

/** The chain that lets packets of flows through that the host has opened, and notes it. */
export const OPENED_CHAIN = 'opened';

/** Whether a chain is one of labels: those stay as base chains do, and only what they hold changes. */
export function isLabelChain(name: string): boolean {
  return name === OPENED_CHAIN || [LIVE, ADMIT].includes(firstPart(name));
}

/** The label of live flows that the host opened: no change of rules judges them again, so it is never taken back. */
export const OPENED_LABEL = 127;

/** How many labels judges can use, from 0 on; conntrack has 128, and they can be set by rules and never be cleared. */
export const CHAIN_SET_LABELS = 120;
