/** The nfnetlink_log group that our rules log to; no other program is known to use it. */
export const LOG_GROUP = 2121;

/** How many bytes of a packet are logged: enough for addresses and ports behind some extension headers. */
export const LOG_SNAP_BYTES = 128;
