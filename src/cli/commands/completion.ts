import { type Command, EXIT, UsageError } from '#cli/framework/command.ts';
import { OPTION } from '#cli/framework/options.ts';
import { SHELLS, shellCompletion } from '#cli/framework/shell-completion.ts';
import { SECGROUPD } from './secgroupd-command.ts';

/** `sgctl completion SHELL`: prints the completion script of a shell; `commands` are those of sgctl. */
export function completionOf(commands: () => readonly Command[]): Command {
  return {
    name: 'completion',
    summary: 'Prints the script by which a shell completes the commands and options of sgctl and secgroupd.',
    usage: SHELLS.join('|'),
    options: { help: OPTION.help },
    maxPositionals: 1,
    words: SHELLS,
    examples: [
      'sgctl completion bash | sudo tee /etc/bash_completion.d/sgctl',
      'sgctl completion zsh | sudo tee /usr/local/share/zsh/site-functions/_sgctl',
      'sgctl completion fish > ~/.config/fish/completions/sgctl.fish',
    ],
    async run(line, streams) {
      const shell = SHELLS.find((name) => name === line.positionals[0]);
      if (shell === undefined) throw new UsageError(`name the shell: ${SHELLS.join(', ')}`);
      streams.out(shellCompletion(shell, { sgctl: commands(), secgroupd: SECGROUPD }));
      return EXIT.success;
    },
  };
}
