/** In the runtime directory: answers and does everything; for root and the group {@link CONTROL_GROUP}. */
export const CONTROL_SOCKET = 'secgroupd.sock';

/** Beside it: answers questions and changes nothing; for the group {@link READING_GROUP} too. */
export const READING_SOCKET = 'secgroupd-read.sock';

/** Who may do what root may do by the daemon. */
export const CONTROL_GROUP = 'secgroupd';

/** Who may see what the daemon knows. */
export const READING_GROUP = 'secgroupd-read';
