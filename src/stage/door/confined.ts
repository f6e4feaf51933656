import { PermanentError } from '../../errors.js';
import type { Root } from '../../file/inside.js';
import { openInside } from '../../file/look.js';
import type { OpenFile } from '../../transport/transport.js';
import { belowDirectory } from './vet.js';

/** Opens what lies below one directory and nothing else; a link leads nowhere out of it, whenever it was put there. */
export const openBelow =
  (directory: string, root: Root): OpenFile =>
  async (path) => {
    const relative = belowDirectory(path, directory);
    if (relative === undefined) throw new PermanentError(403, `Forbidden: ${path} is not below ${directory}`);
    return openInside(root, relative);
  };
