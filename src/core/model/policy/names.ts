declare const brand: unique symbol;

/** A string that was checked once, at the edge, to be a name of kind `Kind`. */
type Name<Kind extends string> = string & { readonly [brand]: Kind };

/** A security group's name: `[A-Za-z0-9_.-]{1,64}`. */
export type GroupName = Name<'group'>;

/** An address group's name: `[A-Za-z0-9_.-]{1,64}`. */
export type AddressGroupName = Name<'addressGroup'>;

/** An instance's name: `[A-Za-z0-9_.-]{1,64}`, or `*` for any host no other instance matches. */
export type InstanceName = Name<'instance'>;

/** An interface's name, or a glob: a name's beginning followed by one `*` (`ens*`, `*`). */
export type InterfacePattern = Name<'interface'>;
