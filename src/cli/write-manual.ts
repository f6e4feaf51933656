/** Makes the manual pages from their texts and from the tables of the program: `npm run man`. */
import { writeFileSync } from 'node:fs';
import { manualPages, pagePath, renderPage } from './manual.js';

for (const page of manualPages()) writeFileSync(pagePath(page), renderPage(page));
