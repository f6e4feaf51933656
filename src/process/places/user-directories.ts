import { type Directories, directoriesOf } from '../../config/directories.js';
import type { Host } from './host.js';

/** Where the things of one user are; `statehost` is not looked at yet. */
export const baseDirectories = (host: Host): Directories =>
  directoriesOf({
    env: host.environment,
    home: host.home,
    platform: host.platform,
    hostname: host.name,
  });
