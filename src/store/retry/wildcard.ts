/**
 * Whether a text matches a pattern in which `*` stands for any characters, `?` for one. Its time grows with the
 * product of the two lengths at most, whatever both contain.
 */
export function matchesWildcard(pattern: string, text: string): boolean {
  let at = 0;
  let inPattern = 0;
  /** The last `*`, and how far its text reaches. */
  let star: { readonly pattern: number; text: number } | undefined;
  while (at < text.length) {
    const wanted = pattern[inPattern];
    if (wanted === '*') {
      star = { pattern: inPattern, text: at };
      inPattern += 1;
    } else if (wanted !== undefined && (wanted === '?' || wanted === text[at])) {
      inPattern += 1;
      at += 1;
    } else if (star !== undefined) {
      star.text += 1;
      at = star.text;
      inPattern = star.pattern + 1;
    } else return false;
  }
  while (pattern[inPattern] === '*') inPattern += 1;
  return inPattern === pattern.length;
}
