import type { Command, CommandOption } from './command.ts';

/** A shell with a completion script. */
export type Shell = 'bash' | 'zsh' | 'fish';

/** The shells, in the order in which help lists them. */
export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish'];

/** A command without its implementation. */
export type CommandShape = Omit<Command, 'run'>;

/** Both programs: sgctl has commands, secgroupd only options. */
export interface Programs {
  readonly sgctl: readonly CommandShape[];
  readonly secgroupd: CommandShape;
}

/** A script that completes both programs' commands, options and their values in a shell. */
export function shellCompletion(shell: Shell, programs: Programs): string {
  switch (shell) {
    case 'bash':
      return bash(programs);
    case 'zsh':
      return zsh(programs);
    case 'fish':
      return fish(programs);
  }
}

function optionsOf({ options }: CommandShape): readonly (readonly [string, CommandOption])[] {
  return Object.entries(options);
}

function optionWords(command: CommandShape): string {
  return optionsOf(command)
    .map(([name]) => `--${name}`)
    .join(' ');
}

function bash({ sgctl, secgroupd }: Programs): string {
  const cases = (key: string, command: CommandShape): string[] => [
    ...optionsOf(command)
      .filter(([, { type }]) => type === 'string')
      // Without words, bash completes files.
      .map(([name, { choices = [] }]) => `    ${single(`${key} --${name}`)}) words=${single(choices.join(' '))} ;;`),
    `    ${single(`${key} `)}*) if [[ $word == -* ]]; then words=${single(optionWords(command))}; else words=${single((command.words ?? []).join(' '))}; fi ;;`,
  ];
  return `# Completion of sgctl and secgroupd for bash; written by \`sgctl completion bash\`.

_secgroupd_reply() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_sgctl() {
  local word=\${COMP_WORDS[COMP_CWORD]} words=''
  if ((COMP_CWORD == 1)); then
    _secgroupd_reply ${single(`${sgctl.map(({ name }) => name).join(' ')} --help --version`)} "$word"
    return
  fi
  case "\${COMP_WORDS[1]} \${COMP_WORDS[COMP_CWORD - 1]}" in
${sgctl.flatMap((command) => cases(command.name, command)).join('\n')}
  esac
  _secgroupd_reply "$words" "$word"
}

_secgroupd() {
  local word=\${COMP_WORDS[COMP_CWORD]} words=''
  case "secgroupd \${COMP_WORDS[COMP_CWORD - 1]}" in
${cases('secgroupd', secgroupd).join('\n')}
  esac
  _secgroupd_reply "$words" "$word"
}

complete -o default -F _sgctl sgctl
complete -o default -F _secgroupd secgroupd
`;
}

function zsh({ sgctl, secgroupd }: Programs): string {
  const specs = (command: CommandShape): string =>
    [
      ...optionsOf(command).map(([name, { type, value = 'VALUE', choices, help }]) => {
        const action = choices === undefined ? '_files' : `(${choices.join(' ')})`;
        return single(`--${name}[${zshText(help)}]${type === 'string' ? `:${value}:${action}` : ''}`);
      }),
      ...(command.maxPositionals === 0
        ? []
        : [single(`*:argument:${command.words === undefined ? '_files' : `(${command.words.join(' ')})`}`)]),
    ].join(' \\\n        ');
  return `#compdef sgctl secgroupd
# Completion of sgctl and secgroupd for zsh; written by \`sgctl completion zsh\`.

_sgctl() {
  local -a commands
  commands=(
${sgctl.map(({ name, summary }) => `    ${single(`${name}:${summary}`)}`).join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe -t commands command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT -= 1))
  case $command in
${sgctl.map((command) => `    ${command.name})\n      _arguments \\\n        ${specs(command)}\n      ;;`).join('\n')}
  esac
}

_secgroupd() {
  _arguments \\
        ${specs(secgroupd)}
}

case $service in
  sgctl) _sgctl "$@" ;;
  secgroupd) _secgroupd "$@" ;;
esac
`;
}

function fish({ sgctl, secgroupd }: Programs): string {
  const option = (
    program: string,
    condition: string,
    [name, { type, choices, help }]: readonly [string, CommandOption],
  ) =>
    [
      `complete -c ${program}${condition} -l ${name}`,
      ...(type === 'string' ? (choices === undefined ? ['-r'] : [`-x -a ${single(choices.join(' '))}`]) : []),
      `-d ${single(help)}`,
    ].join(' ');
  const lines = sgctl.flatMap((command) => {
    const seen = ` -n ${single(`__fish_seen_subcommand_from ${command.name}`)}`;
    return [
      `complete -c sgctl -f -n __fish_use_subcommand -a ${command.name} -d ${single(command.summary)}`,
      ...optionsOf(command).map((entry) => option('sgctl', seen, entry)),
      ...(command.words === undefined ? [] : [`complete -c sgctl -f${seen} -a ${single(command.words.join(' '))}`]),
    ];
  });
  return `# Completion of sgctl and secgroupd for fish; written by \`sgctl completion fish\`.
${[...lines, ...optionsOf(secgroupd).map((entry) => option('secgroupd', '', entry))].join('\n')}
`;
}

/** A word in single quotes, valid in all three shells. */
function single(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Text within the brackets of a zsh option. */
function zshText(text: string): string {
  return text.replace(/[[\]:]/g, '\\$&');
}
