/** What `cortune --help` and `--version` print. Written without the option parser, whose loading would be most of their time. */
import { readFileSync } from 'node:fs';

const kOptions = [
  ['    --json', 'Print the result as one JSON document'],
  ['    --quiet', 'No progress and no notes on stderr'],
  ['-h, --help', 'Show help'],
  ['    --version', 'Show version number'],
] as const;

export function helpText(commands: readonly { name: string; describe: string }[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, describe }) => `  cortune ${name.padEnd(width)}  ${describe}`);
  return [
    'cortune <command> [options]',
    '',
    'How does the way a model is tuned change how well it predicts the brain?',
    '',
    'Commands:',
    ...lines,
    '',
    'Options:',
    ...kOptions.map(([names, describe]) => `  ${names.padEnd(13)}  ${describe}`),
    '',
    'Start with: cortune doctor, then cortune new, or cortune run examples/quick.yaml',
    '`cortune <command> --help` shows the options of one command, with examples.',
    '',
  ].join('\n');
}

export function versionText(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return `${version}\n`;
}
