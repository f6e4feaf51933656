import type { CharacterSet } from './character-set.js';

/** A regular expression after reading: case folding, flags and class names are already resolved into sets. */
export type PatternNode =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'sequence'; readonly items: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly items: readonly PatternNode[] }
  | {
      readonly kind: 'repeat';
      readonly body: PatternNode;
      readonly min: number;
      /** Infinity where there is no limit. */
      readonly max: number;
      readonly lazy: boolean;
    }
  | { readonly kind: 'capture'; readonly index: number; readonly body: PatternNode }
  | { readonly kind: 'reference'; readonly index: number; readonly ignoreCase: boolean }
  | {
      readonly kind: 'look';
      readonly behind: boolean;
      readonly negative: boolean;
      readonly body: PatternNode;
    }
  | { readonly kind: 'at'; readonly where: Place };

/** `end` is the very end, `lastLine` the end or the place before a final line feed. */
export type Place = 'start' | 'lineStart' | 'end' | 'lastLine' | 'lineEnd' | 'wordEdge' | 'noWordEdge';

/** What a node is made of, one level down. */
export function childrenOf(node: PatternNode): readonly PatternNode[] {
  switch (node.kind) {
    case 'sequence':
    case 'choice':
      return node.items;
    case 'repeat':
    case 'capture':
    case 'look':
      return [node.body];
    case 'set':
    case 'reference':
    case 'at':
      return [];
  }
}

/** True when the node or anything in it is as asked. */
export const contains = (node: PatternNode, wanted: (node: PatternNode) => boolean): boolean =>
  wanted(node) || childrenOf(node).some((child) => contains(child, wanted));

/** Characters that a node can take, at least and at most; a reference may take anything. */
export function widthOf(node: PatternNode): readonly [least: number, most: number] {
  switch (node.kind) {
    case 'set':
      return [1, 1];
    case 'look':
    case 'at':
      return [0, 0];
    case 'reference':
      return [0, Infinity];
    case 'capture':
      return widthOf(node.body);
    case 'repeat': {
      const [least, most] = widthOf(node.body);
      return [least * node.min, most === 0 || node.max === 0 ? 0 : most * node.max];
    }
    case 'sequence':
      return node.items.map(widthOf).reduce(([a, b], [least, most]) => [a + least, b + most], [0, 0]);
    case 'choice': {
      const widths = node.items.map(widthOf);
      return [Math.min(...widths.map(([least]) => least)), Math.max(...widths.map(([, most]) => most))];
    }
  }
}
