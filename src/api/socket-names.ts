/** In the runtime directory: serves every call, for root and the group {@link CONTROL_GROUP}. */
export const CONTROL_SOCKET = 'secgroupd.sock';

/** Beside it: serves the calls that change nothing, for the group {@link READING_GROUP} too. */
export const READING_SOCKET = 'secgroupd-read.sock';

/** Its members may do by the daemon what root may do. */
export const CONTROL_GROUP = 'secgroupd';

/** Its members may read what the daemon reports. */
export const READING_GROUP = 'secgroupd-read';
