/** The group of nfnetlink_log that our rules log to: nobody else's, as far as we know. */
export const LOG_GROUP = 2121;
