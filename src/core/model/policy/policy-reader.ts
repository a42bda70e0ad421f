/** A file's text under the name its diagnostics use, or why it could not be had. */
export type FileText = { readonly kind: 'text'; readonly file: string; readonly text: string } | UnreadableFile;

/** Why a file could not be had. */
export interface UnreadableFile {
  readonly kind: 'unreadable';
  readonly file: string;
  readonly message: string;
  readonly help: string | undefined;
  /** Whether it is there, and others than root could have written it. */
  readonly isUntrusted: boolean;
}

/** The drop-ins of a policy, and what beside them looks like a part of the policy and is none. */
export interface DropIns {
  /** In name order. */
  readonly read: readonly FileText[];
  readonly passedOver: readonly PassedOverFile[];
}

/** A file that is not read, and what to do for it to be. */
export interface PassedOverFile {
  readonly file: string;
  readonly message: string;
  readonly help: string;
}

/** Reads the files of one policy; never throws for what is wrong with a file. */
export interface PolicyReader {
  /** The policy file itself. */
  readPolicy(): Promise<FileText>;
  /** The drop-ins beside it. */
  readDropIns(): Promise<DropIns>;
  /** A list file as `document` names it. */
  readList(document: string, name: string): Promise<FileText>;
}
