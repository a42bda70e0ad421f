/**
 * What joins the parts of a name that a chain, set or map has. nft's identifiers have letters, digits, `/`, `_`, `.` and
 * `-` (scanner.l), and `/` is the one among them that neither an interface's nor a group's name can have.
 */
const JOINT = '/';

/**
 * The name that is made of `parts`, from the kind of object to what is special about it.
 *
 * INVARIANT: no part is empty or has the joint in it, so two names are equal only where all their parts are. Throws
 * where a part breaks it.
 */
export function objectName(...parts: readonly string[]): string {
  for (const part of parts)
    if (part === '' || part.includes(JOINT)) throw new Error(`\`${part}\` cannot be a part of a name`);
  return parts.join(JOINT);
}

/** The name of something that belongs to what is called `owner`, by further parts of it. Throws as {@link objectName}. */
export function nameWithin(owner: string, ...parts: readonly string[]): string {
  return `${owner}${JOINT}${objectName(...parts)}`;
}

/** What kind of object a name is of: its first part. */
export function firstPart(name: string): string {
  return name.split(JOINT, 1)[0] ?? name;
}
