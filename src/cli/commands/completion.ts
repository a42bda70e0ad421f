import { type Command, EXIT, UsageError } from '#cli/framework/command.ts';
import { OPTION } from '#cli/framework/options.ts';
import { SECGROUPD } from './secgroupd-command.ts';
import { SHELLS, shellCompletion } from '#cli/framework/shell-completion.ts';

/** `sgctl completion SHELL`: what a shell needs to complete both programs; `commands` are those of sgctl. */
export function completionOf(commands: () => readonly Command[]): Command {
  return {
    name: 'completion',
    summary: 'Prints what a shell needs to complete the commands and options of sgctl and secgroupd.',
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
      const shell = SHELLS.find((one) => one === line.positionals[0]);
      if (shell === undefined) throw new UsageError(`say which shell: ${SHELLS.join(', ')}`);
      streams.out(shellCompletion(shell, { sgctl: commands(), secgroupd: SECGROUPD }));
      return EXIT.success;
    },
  };
}
