import { QUIET_MILLISECONDS } from '#host/files/settling.ts';

/** What this host may lack. */
export interface FeatureSupport {
  readonly flowLabels: boolean;
  readonly routeLookups: boolean;
  /** Why nothing is logged; undefined where it is. */
  readonly packetLogTrouble: string | undefined;
  /** Why notices of writers that close a file do not come; undefined where they do. */
  readonly writeNoticesTrouble: string | undefined;
}

/** What this host lacks, and what follows from that. */
export function missingFeatures(support: FeatureSupport): readonly string[] {
  const { flowLabels, routeLookups, packetLogTrouble, writeNoticesTrouble } = support;
  const missing: string[] = [];
  if (!flowLabels) missing.push('conntrack labels (CONFIG_NF_CONNTRACK_LABELS): every packet of a live flow is judged');
  if (!routeLookups)
    missing.push(
      "lookups of routes in rules (CONFIG_NFT_FIB_INET): a neighbour can send with the host's own IPv6 address",
    );
  if (packetLogTrouble !== undefined)
    missing.push(`the packet log (nfnetlink_log): nothing is logged: ${packetLogTrouble}`);
  if (writeNoticesTrouble !== undefined)
    missing.push(
      `notices of writers that close a file (inotifywait): ${writeNoticesTrouble}: a file written in place counts after ${QUIET_MILLISECONDS / 1_000} s of quiet`,
    );
  return missing;
}
