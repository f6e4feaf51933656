import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Tests that run the programs run what the sources say now: compiled again when they changed. */
export function setup(): void {
  execFileSync('/bin/sh', [join(import.meta.dirname, '../../packaging/bootstrap.sh')], { stdio: 'inherit' });
}
