declare const __VERSION__: string | undefined;

/** This program's version, from package.json by way of the build. */
export const VERSION: string = typeof __VERSION__ === 'string' ? __VERSION__ : 'unbuilt';
