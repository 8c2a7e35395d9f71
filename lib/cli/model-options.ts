/** The options of commands that load a model. */

export const kModelOption = {
  type: 'string',
  demandOption: true,
  describe: 'Folder, .gguf file, Hub id or known name; `untrained:NAME` for random weights',
} as const;

export const kAdapterOption = { type: 'string', describe: 'Folder of a PEFT adapter to put on the model' } as const;
