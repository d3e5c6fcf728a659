import {createHash} from 'node:crypto';
import {Html, html} from './html.js';
import {style} from './style.js';

export interface Page {
  readonly title: string;
  readonly body: Html;
}

/** A whole page in one file: nothing is loaded, nothing runs, and its one style is the one that the policy names by its hash. */
export function toDocument({title, body}: Page): string {
  const hash = createHash('sha256').update(style).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  const head = Html.trusted(
    `<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<style>${style}</style>`,
  );
  const page = html`<html lang="en">
<head>
${head}
<title>${title}</title>
</head>
<body>
${body}
</body>
</html>
`;
  return `<!doctype html>\n${page.markup}`;
}
