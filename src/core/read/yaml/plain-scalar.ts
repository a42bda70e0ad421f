/** All that YAML's core schema could take for a number, and more. */
const NUMBER_LIKE = /^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$|^0[ox]|^[-+]?\.(?:inf|nan)$/i;

/** Whether a number can begin with a character: `+`, `-`, `.` or a digit. */
function mayBeNumber(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || code === 0x2b || code === 0x2d || code === 0x2e;
}

/** The value of a plain scalar in YAML's core schema; undefined for a number or a word in an unusual form. */
export function plainValue(source: string): string | number | boolean | null | undefined {
  if (mayBeNumber(source.charCodeAt(0))) {
    if (!NUMBER_LIKE.test(source)) return source;
    return /^(?:0|[1-9][0-9]{0,14})$/.test(source) ? Number(source) : undefined;
  }
  if (source.length > 5) return source;
  switch (source) {
    case 'true':
      return true;
    case 'false':
      return false;
    case 'null':
      return null;
    default:
      return /^(?:true|false|null|~)$/i.test(source) ? undefined : source;
  }
}
